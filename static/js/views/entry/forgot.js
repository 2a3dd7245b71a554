/** A forgotten password: ask for a link by mail. */

import { requestReset } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { form } from "../../elements/forms.js";
import { emailField, showCard } from "./frame.js";

function wayBack() {
  return h("p", {}, "Remember it? ", h("a", { href: "#/signin" }, "Sign in"));
}

function showSent(root, email) {
  const again = h("button", { type: "button", onclick: () => showForm(root) }, "Try again");
  showCard(
    root,
    "Look into your mailbox",
    h(
      "p",
      { role: "status" },
      "If there is an account for ",
      h("b", {}, email),
      ", a mail with a link to set a new password is on its way. The link is good for 30 minutes.",
    ),
    h("p.muted", {}, "No mail? Look among the spam, or see whether the address is right."),
    h("p", {}, again),
    wayBack(),
  );
  root.querySelector("h1").focus({ preventScroll: true });
}

function showForm(root) {
  const ask = form(
    { email: emailField() },
    {
      label: "Mail me a link",
      busyLabel: "Sending…",
      attributes: { id: "forgot" },
      send: async ({ email }) => {
        await requestReset({ email });
        showSent(root, email.trim());
      },
    },
  );
  showCard(
    root,
    "Forgot your password?",
    h("p.lead", {}, "Tell us your address, and we mail you a link to set a new one."),
    ask,
    wayBack(),
  );
}

export function showForgot(root) {
  showForm(root);
}
