/** A mailed link that shows an address to be one's own. */

import { confirmAddress } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { currentUser, refreshUser } from "../../app/session.js";
import { define } from "../../elements/element.js";
import { errorCard } from "../../elements/message-card.js";
import { resendButton } from "../../elements/resend-mail.js";
import { EntryView, linkButton } from "./frame.js";

const CONFIRMED = "Your address is confirmed";

/** The link is used up, too old, or was never one. */
function spent({ status }) {
  return status >= 400 && status < 500 && status !== 429;
}

/** `<confirm-view>`; `argument` is the link's token. `desk.used()` is told when its work is done. */
export class ConfirmView extends EntryView {
  build() {
    this.#work();
  }

  async #work() {
    this.loading("Confirming your address…");
    try {
      await confirmAddress(this.argument);
      this.desk.used();
      await refreshUser();
      if (this.isConnected) this.#showDone();
    } catch (error) {
      if (this.isConnected) this.#showFailed(error);
    }
  }

  #showDone() {
    this.message({
      kind: "done",
      heading: CONFIRMED,
      text: "You can invite people to your carts now, and be invited.",
      actions: [currentUser() ? toCarts() : linkButton("#/signin", "Sign in", "a.button.primary")],
    });
  }

  #showFailed(error) {
    if (!spent(error)) this.#showTrouble(error);
    else if (currentUser()?.confirmed) this.#showBefore();
    else this.#showSpent(currentUser());
  }

  #showTrouble({ message }) {
    const title = "Your address is not confirmed yet";
    this.replaceChildren(errorCard(title, message, () => this.#work(), { level: 1 }));
    this.querySelector("h1").focus({ preventScroll: true });
  }

  #showBefore() {
    this.message({
      kind: "done",
      heading: CONFIRMED,
      text: "It was before: this link has done its work.",
      actions: [toCarts()],
    });
  }

  #showSpent(user) {
    const mayResend = user && !user.guest;
    const ask = "Sign in to see whether your address is confirmed, or to get a new link.";
    this.message({
      kind: "error",
      mark: "link",
      heading: "This link no longer works",
      text: "It may have been used already, be too old, or a newer one may have been mailed.",
      more: mayResend ? resendButton() : h("p.muted", {}, ask),
      actions: user ? [] : [linkButton("#/signin", "Sign in", "a.button.primary")],
    });
  }
}

function toCarts() {
  return linkButton("#/carts", "To my carts", "a.button.primary");
}

define("confirm-view", ConfirmView);
