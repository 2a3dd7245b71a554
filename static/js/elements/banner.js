/** What somebody should know about their account, above every view: what is still to be done. */

import { h } from "../app/dom.js";
import { resendButton } from "./resend.js";

function guestBanner() {
  return [
    h("p", {}, "You are here as a guest, in this browser only."),
    h("a.button", { href: "#/register" }, "Create an account"),
    h("a", { href: "#/signin" }, "Sign in"),
  ];
}

function unconfirmedBanner(user) {
  return [
    h("p", {}, h("b", {}, "Confirm your address. "), `We mailed a link to ${user.email}.`),
    resendButton("Send it again"),
  ];
}

/** Fill `root` with what `user` should know; `user` null: nobody is signed in. */
export function showBanner(root, user) {
  const kind = !user ? "" : user.guest ? "guest" : user.confirmed ? "" : `mail ${user.email}`;
  // Made anew only for another reason: a button keeps its focus and its answer.
  if (root.dataset.kind === kind) return;
  root.dataset.kind = kind;
  root.hidden = !kind;
  if (!kind) root.replaceChildren();
  else root.replaceChildren(...(user.guest ? guestBanner() : unconfirmedBanner(user)));
}
