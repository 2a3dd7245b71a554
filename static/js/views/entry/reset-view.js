/** A mailed link that sets a new password. */

import { completeReset } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { define } from "../../elements/element.js";
import { form } from "../../elements/forms.js";
import { EntryView, forgetTyped, linkButton, newPasswordField } from "./frame.js";

const DONE = "Your new password is set, and you are signed out everywhere. Sign in with it.";

/** The link is used up, too old, or was never one. */
function spent({ status, fields }) {
  return status >= 400 && status < 500 && status !== 429 && !fields.password;
}

/** `<reset-view>`; `argument` is the link's token. `desk.done(notice)` is told once it is set. */
export class ResetView extends EntryView {
  build() {
    const reset = form(
      { password: newPasswordField("New password") },
      {
        label: "Set new password",
        busyLabel: "Setting it…",
        attributes: { id: "reset" },
        send: ({ password }) => this.#send(password),
      },
    );
    this.card(
      "Choose a new password",
      h("p.lead", {}, "You will be signed out on all devices, and sign in anew with it."),
      reset,
    );
  }

  async #send(password) {
    try {
      await completeReset(this.argument, password);
    } catch (error) {
      if (!spent(error)) throw error;
      this.#showSpent();
      return;
    }
    forgetTyped();
    this.desk.done(DONE);
  }

  #showSpent() {
    this.message({
      kind: "error",
      mark: "link",
      heading: "This link no longer works",
      text: "It may have been used, a newer one may have been mailed, or its 30 minutes are over.",
      actions: [linkButton("#/reset", "Mail me a new link", "a.button.primary")],
    });
  }
}

define("reset-view", ResetView);
