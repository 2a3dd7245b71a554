/** A mailed link that ends mails, without signing in. */

import { unsubscribe } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { currentUser, refreshUser } from "../../app/session.js";
import { define } from "../../elements/element.js";
import { form } from "../../elements/forms.js";
import { EntryView, linkButton } from "./frame.js";

/** The link is too old, or was never one. */
function spent({ status }) {
  return status >= 400 && status < 500 && status !== 429;
}

/** `<unsubscribe-view>`; `argument` is the link's token. `desk.used()` is told when its work is done. */
export class UnsubscribeView extends EntryView {
  build() {
    this.card(
      "No more of these mails?",
      h("p.muted", {}, "You will get no more mails of this kind. Your inbox stays as it is."),
      form(
        {},
        {
          label: "Stop these mails",
          busyLabel: "Stopping them…",
          attributes: { id: "unsubscribe" },
          send: () => this.#work(),
        },
      ),
    );
  }

  async #work() {
    try {
      await unsubscribe(this.argument);
    } catch (error) {
      if (!spent(error)) throw error; // The form says so, and can be sent again.
      this.#showSpent();
      return;
    }
    this.desk.used();
    await refreshUser();
    if (this.isConnected) this.#showDone();
  }

  #showDone() {
    this.message({
      kind: "done",
      heading: "These mails have ended",
      text: "You can have them again whenever you like.",
      actions: [mailsLink()],
    });
  }

  #showSpent() {
    this.message({
      kind: "error",
      mark: "link",
      heading: "This link no longer works",
      text: "Choose on the page itself which mails you want.",
      actions: [mailsLink()],
    });
  }
}

function mailsLink() {
  const label = currentUser() ? "Choose your mails" : "Sign in to choose your mails";
  return linkButton("#/account/mails", label, "a.button.primary");
}

define("unsubscribe-view", UnsubscribeView);
