/** Have the link that confirms an address mailed once more. */

import { resendConfirmation } from "../app/accounts.js";
import { h, setText } from "../app/dom.js";
import { askAgain } from "../app/session.js";
import { troubleText } from "../app/trouble.js";
import { define, Element } from "./element.js";

/** `<resend-mail>` with the button's `label`: a button, and what came of it. */
export class ResendMail extends Element {
  label = "Mail me a new link";
  #button;
  #told = h("span.told", { role: "status" });
  #busy = false;

  build() {
    this.classList.add("resend");
    this.#button = h("button", { type: "button", onclick: () => this.#resend() }, this.label);
    this.append(this.#button, this.#told);
  }

  async #resend() {
    if (this.#busy) return;
    this.#busy = true;
    this.#button.setAttribute("aria-disabled", "true");
    setText(this.#told, "Sending…");
    try {
      await resendConfirmation();
      setText(this.#told, "Sent. Look into your mailbox.");
    } catch (error) {
      setText(this.#told, troubleText(error));
      if (error.code === "conflict") askAgain(); // It is confirmed already.
    } finally {
      this.#busy = false;
      this.#button.removeAttribute("aria-disabled");
    }
  }
}

define("resend-mail", ResendMail);

/** A button, and what came of it; see `ResendMail`. */
export function resendButton(label) {
  return h("resend-mail", { label });
}
