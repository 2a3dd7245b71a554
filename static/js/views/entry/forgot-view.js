/** A forgotten password: ask for a link by mail. */

import { requestReset } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { define } from "../../elements/element.js";
import { form } from "../../elements/forms.js";
import { elsewhere, emailField, EntryView, linkButton } from "./frame.js";

/** `<forgot-view>` */
export class ForgotView extends EntryView {
  build() {
    this.#ask();
  }

  #ask() {
    const ask = form(
      { email: emailField() },
      {
        label: "Mail me a link",
        busyLabel: "Sending…",
        attributes: { id: "forgot" },
        send: async ({ email }) => {
          await requestReset({ email });
          this.#sent(email.trim());
        },
      },
    );
    this.card(
      "Forgot your password?",
      h("p.lead", {}, "Tell us your address, and we mail you a link to set a new one."),
      ask,
      elsewhere(["Remember it?", "#/signin", "Sign in"]),
    );
  }

  #sent(email) {
    this.message({
      kind: "done",
      mark: "mail",
      heading: "Look into your mailbox",
      text: [
        "If there is an account for ",
        h("b", {}, email),
        ", a mail with a link to set a new password is on its way. The link is good for 30 minutes.",
      ],
      more: h("p.muted", {}, "No mail? Look among the spam, or see whether the address is right."),
      actions: [
        h("button", { type: "button", onclick: () => this.#ask() }, "Try again"),
        linkButton("#/signin", "Sign in", "a.button.quiet"),
      ],
    });
  }
}

define("forgot-view", ForgotView);
