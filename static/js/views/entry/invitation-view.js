/** A mailed invitation to a cart: opened by whom it was sent to, it leads into the cart. */

import { h } from "../../app/dom.js";
import { define } from "../../elements/element.js";
import { errorCard } from "../../elements/message-card.js";
import { resendButton } from "../../elements/resend-mail.js";
import { EntryView, linkButton } from "./frame.js";

const TITLE = "An invitation to a cart";

function accountText(user) {
  return user.guest ? "You are here as a guest." : ["You are signed in as ", h("b", {}, user.email ?? user.name)];
}

/**
 * `<invitation-view>`; `argument` is the invitation's token, accepted as soon as that can be done.
 * `desk.signOut()` comes back here with somebody else; `desk.entered(cart)` is told the cart that
 * it led to.
 */
export class InvitationView extends EntryView {
  #busy = false;

  connected() {
    super.connected();
    this.#begin();
    this.until(this.desk.onUser(() => this.#begin()));
  }

  #begin() {
    const { user } = this.app;
    if (user.guest) this.#showForGuest();
    else if (!user.confirmed) this.#showUnconfirmed(user);
    else this.#accept();
  }

  async #accept() {
    if (this.#busy) return;
    this.#busy = true;
    this.loading("Opening your invitation…");
    try {
      const cart = await this.app.acceptInvitation(this.argument);
      if (this.isConnected) this.desk.entered(cart);
    } catch (error) {
      if (this.isConnected) this.#showFailed(error);
    } finally {
      this.#busy = false;
    }
  }

  #showFailed(error) {
    if (!error.temporary) {
      this.#showRefused(error);
      return;
    }
    this.replaceChildren(errorCard(TITLE, error.message, () => this.#accept(), { level: 1 }));
    this.querySelector("h1").focus({ preventScroll: true });
  }

  #showForGuest() {
    this.message({
      mark: "mail",
      heading: TITLE,
      text:
        "It is for whoever has the address that it was mailed to. Make an account with that " +
        "address, or sign in to it; what you have in carts as a guest comes along.",
      actions: [
        linkButton("#/register", "Create an account", "a.button.primary"),
        linkButton("#/signin", "Sign in"),
      ],
    });
  }

  #showUnconfirmed({ email = "your address" }) {
    this.message({
      mark: "mail",
      heading: "Confirm your address first",
      text: ["We mailed a link to ", h("b", {}, email), ". Open it; then this page goes on by itself."],
      more: resendButton("Send it again"),
    });
  }

  #showRefused({ message }) {
    const question = ". Was it mailed to another address of yours?";
    const { signOut } = this.desk;
    this.message({
      kind: "error",
      mark: "mail",
      heading: "This invitation can't be opened",
      text: message,
      more: [
        h("p", {}, accountText(this.app.user), question),
        h("p.muted", {}, "If you have opened it before, its cart is among yours."),
      ],
      actions: [
        h("button", { type: "button", onclick: signOut }, "Sign in as somebody else"),
        linkButton("#/carts", "My carts"),
      ],
    });
  }
}

define("invitation-view", InvitationView);
