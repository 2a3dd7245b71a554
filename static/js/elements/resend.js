/** Have the link that confirms an address mailed once more. */

import { resendConfirmation } from "../app/accounts.js";
import { h, setText } from "../app/dom.js";
import { askAgain } from "../app/session.js";
import { troubleText } from "../app/trouble.js";

/** A button, and what came of it. */
export function resendButton(label = "Mail me a new link") {
  const told = h("span.told", { role: "status" });
  let busy = false;
  const resend = async () => {
    if (busy) return;
    busy = true;
    button.setAttribute("aria-disabled", "true");
    setText(told, "Sending…");
    try {
      await resendConfirmation();
      setText(told, "Sent. Look into your mailbox.");
    } catch (error) {
      setText(told, troubleText(error));
      if (error.code === "conflict") askAgain(); // It is confirmed already.
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
    }
  };
  const button = h("button", { type: "button", onclick: resend }, label);
  return h("span.resend", {}, button, told);
}
