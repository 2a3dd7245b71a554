/** What somebody should know about their account, above every view: what is still to be done. */

import { h } from "../app/dom.js";
import { define, Element } from "./element.js";
import { resendButton } from "./resend-mail.js";

function guestContent() {
  return [
    h("p", {}, "You are here as a guest, in this browser only."),
    h("a.button", { href: "#/register" }, "Create an account"),
    h("a", { href: "#/signin" }, "Sign in"),
  ];
}

function unconfirmedContent(user) {
  return [
    h("p", {}, h("b", {}, "Confirm your address. "), `We mailed a link to ${user.email}.`),
    resendButton("Send it again"),
  ];
}

/** What there is to say to somebody; "": nothing, or their address isn't known while offline. */
function kindFor(user) {
  if (!user) return "";
  if (user.guest) return "guest";
  return user.confirmed || !user.email ? "" : `mail ${user.email}`;
}

/**
 * `<page-banner>` with `user`, or null while nobody is signed in. Its parent, the landmark around
 * it, is hidden while there is nothing to say.
 */
export class PageBanner extends Element {
  #user = null;
  #kind = null;

  get user() {
    return this.#user;
  }

  set user(user) {
    this.#user = user;
    if (this.isConnected) this.#show();
  }

  build() {
    this.classList.add("banner");
    this.#show();
  }

  #show() {
    const user = this.#user;
    const kind = kindFor(user);
    // Made anew only for another reason: a button keeps its focus and its answer.
    if (this.#kind === kind) return;
    this.#kind = kind;
    this.parentElement.hidden = !kind;
    if (!kind) this.replaceChildren();
    else this.replaceChildren(...(user.guest ? guestContent() : unconfirmedContent(user)));
  }
}

define("page-banner", PageBanner);
