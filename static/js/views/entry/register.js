/** Making an account; a guest keeps what they have. */

import { register } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { form } from "../../elements/forms.js";
import { emailField, LEAD, nameField, newPasswordField, noticeLine, showCard } from "./frame.js";

/** `guest` is the guest who makes it, or null; `enter(ask)` signs in by `ask()`. */
export function showRegister(root, { notice, guest, enter }) {
  const fields = {
    name: nameField(),
    email: emailField({ hint: "We mail you a link, to confirm that it is yours." }),
    password: newPasswordField(),
  };
  if (guest && !fields.name.input.value) fields.name.input.value = guest.name;
  const create = form(fields, {
    label: "Create account",
    busyLabel: "Creating your account…",
    attributes: { id: "register" },
    send: (values) => enter(() => register(values)),
  });
  const kept = "Your carts stay yours, on every device where you sign in.";
  showCard(
    root,
    "Create an account",
    h("p.lead", {}, guest ? kept : LEAD),
    noticeLine(notice),
    create,
    h(
      "div.elsewhere",
      {},
      h("p", {}, "Already have one? ", h("a", { href: "#/signin" }, "Sign in")),
      guest ? null : h("p", {}, "Just looking? ", h("a", { href: "#/guest" }, "Continue as guest")),
    ),
  );
}
