/** A mailed invitation to a cart: opened by whom it was sent to, it leads into the cart. */

import { h } from "../../app/dom.js";
import { resendButton } from "../../elements/resend-mail.js";
import { showCard } from "./frame.js";

const TITLE = "An invitation to a cart";

function accountLine(user) {
  return user.guest ? "You are here as a guest." : ["You are signed in as ", h("b", {}, user.email)];
}

function showForGuest(root) {
  showCard(
    root,
    TITLE,
    h(
      "p",
      {},
      "It is for whoever has the address that it was mailed to. Make an account with that address, ",
      "or sign in to it; what you have in carts as a guest comes along.",
    ),
    h(
      "p.cart-actions",
      {},
      h("a.button", { href: "#/register" }, "Create an account"),
      h("a.button", { href: "#/signin" }, "Sign in"),
    ),
  );
}

function showUnconfirmed(root, user) {
  showCard(
    root,
    "Confirm your address first",
    h(
      "p",
      { role: "status" },
      "We mailed a link to ",
      h("b", {}, user.email),
      ". Open it; then this page goes on by itself.",
    ),
    resendButton("Send it again"),
  );
}

function showRefused(root, user, error, { signOut }) {
  showCard(
    root,
    "This invitation can't be opened",
    h("p", {}, error.message),
    h("p", {}, accountLine(user), ". Was it mailed to another address of yours?"),
    h(
      "p.cart-actions",
      {},
      h("button", { type: "button", onclick: signOut }, "Sign in as somebody else"),
      h("a.button", { href: "#/carts" }, "My carts"),
    ),
    h("p.muted", {}, "If you have opened it before, its cart is among yours."),
  );
}

function showTrouble(root, error, again) {
  showCard(
    root,
    TITLE,
    h("p", { role: "alert" }, error.message),
    h("p", {}, h("button.primary", { type: "button", onclick: again }, "Try again")),
  );
}

/**
 * Accept the invitation of `token` as soon as that can be done. `signOut()` comes back here with
 * somebody else; `entered(cart)` is called with the cart that it led to.
 */
export function showInvitation(root, app, { signOut, entered, onUser }, token) {
  let gone = false;
  let busy = false;

  const settle = (show) => {
    if (gone) return;
    show();
    root.querySelector("h1").focus({ preventScroll: true });
  };

  const accept = async () => {
    if (busy) return;
    busy = true;
    showCard(root, "Opening your invitation…", h("div.skeleton", { "aria-busy": "true" }));
    try {
      const cart = await app.acceptInvitation(token);
      if (!gone) entered(cart);
    } catch (error) {
      settle(() => {
        if (error.temporary) showTrouble(root, error, accept);
        else showRefused(root, app.user, error, { signOut });
      });
    } finally {
      busy = false;
    }
  };

  const begin = () => {
    if (app.user.guest) showForGuest(root);
    else if (!app.user.confirmed) showUnconfirmed(root, app.user);
    else accept();
  };
  begin();
  const stop = onUser(begin);
  return () => {
    gone = true;
    stop();
  };
}
