/** Signing in to an account that there is. */

import { login } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { form } from "../../elements/forms.js";
import { currentPasswordField, emailField, LEAD, noticeLine, showCard } from "./frame.js";

/** `enter(ask)` signs in by `ask()`; `notice` says why somebody has to. */
export function showSignIn(root, { notice, guest, enter }) {
  const fields = { email: emailField(), password: currentPasswordField() };
  const forgot = h("p.beside", {}, h("a", { href: "#/reset" }, "Forgot your password?"));
  const signIn = form(fields, {
    label: "Sign in",
    busyLabel: "Signing in…",
    extra: forgot,
    attributes: { id: "sign-in" },
    send: (values) => enter(() => login(values)),
  });
  const carried = "What is in your carts as a guest goes into your account.";
  showCard(
    root,
    "Sign in",
    h("p.lead", {}, guest ? carried : LEAD),
    noticeLine(notice),
    signIn,
    h(
      "div.elsewhere",
      {},
      h("p", {}, "New here? ", h("a", { href: "#/register" }, "Create an account")),
      guest ? null : h("p", {}, "Just looking? ", h("a", { href: "#/guest" }, "Continue as guest")),
    ),
  );
}
