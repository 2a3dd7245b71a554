/** A mailed link that shows an address to be one's own. */

import { confirmAddress } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { currentUser, refreshUser } from "../../app/session.js";
import { resendButton } from "../../elements/resend-mail.js";
import { showCard } from "./frame.js";

function showDone(root) {
  const user = currentUser();
  showCard(
    root,
    "Your address is confirmed",
    h("p", {}, "You can invite people to your carts now, and be invited."),
    h(
      "p",
      {},
      user
        ? h("a.button", { href: "#/carts" }, "To my carts")
        : h("a.button", { href: "#/signin" }, "Sign in"),
    ),
  );
}

function showFailed(root, error, again) {
  const user = currentUser();
  const used = error.status >= 400 && error.status < 500 && error.status !== 429;
  if (!used) {
    showCard(
      root,
      "Your address is not confirmed yet",
      h("p", {}, error.message),
      h("p", {}, h("button.primary", { type: "button", onclick: again }, "Try again")),
    );
  } else if (user?.confirmed) {
    showCard(
      root,
      "Your address is confirmed",
      h("p", {}, "It was before: this link has done its work."),
      h("p", {}, h("a.button", { href: "#/carts" }, "To my carts")),
    );
  } else {
    showCard(
      root,
      "This link no longer works",
      h("p", {}, "It may have been used already, be too old, or a newer one may have been mailed."),
      user && !user.guest
        ? resendButton()
        : h("p", {}, "Sign in to see whether your address is confirmed, or to get a new link."),
      user ? null : h("p", {}, h("a.button", { href: "#/signin" }, "Sign in")),
    );
  }
}

/** `token` is that of the link. `used()` is called once it has done its work. */
export function showConfirm(root, { used }, token) {
  let gone = false;
  const work = async () => {
    showCard(root, "Confirming your address…", h("div.skeleton", { "aria-busy": "true" }));
    try {
      await confirmAddress(token);
      used();
      await refreshUser();
      if (!gone) showDone(root);
    } catch (error) {
      if (!gone) showFailed(root, error, work);
    }
    if (!gone) root.querySelector("h1").focus({ preventScroll: true });
  };
  work();
  return () => {
    gone = true;
  };
}
