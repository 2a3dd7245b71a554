/** Signing in and registering. */

import { login, register } from "../api.js";
import { h } from "../dom.js";
import { field, form } from "../forms.js";

const PASSWORD_MIN = 8;

function emailField() {
  return field("E-mail", {
    name: "email",
    type: "email",
    required: true,
    autocomplete: "username",
    inputmode: "email",
    autocapitalize: "off",
    spellcheck: "false",
    maxlength: "254",
  });
}

function passwordField(autocomplete, hint) {
  const attributes = { name: "password", type: "password", required: true, autocomplete };
  if (autocomplete === "new-password") attributes.minlength = String(PASSWORD_MIN);
  return field("Password", attributes, { hint });
}

function signInForm(done) {
  const fields = { email: emailField(), password: passwordField("current-password") };
  return form(fields, {
    label: "Sign in",
    send: async ({ email, password }) => {
      const answer = await login(email, password);
      done(answer.user, answer.access_token);
    },
  });
}

function registerForm(done) {
  const fields = {
    name: field(
      "Name",
      { name: "name", required: true, autocomplete: "name", maxlength: "100" },
      { hint: "What others in a cart see." },
    ),
    email: emailField(),
    password: passwordField("new-password", `At least ${PASSWORD_MIN} characters.`),
  };
  return form(fields, {
    label: "Create account",
    send: async ({ email, password, name }) => {
      const answer = await register(email, password, name);
      done(answer.user, answer.access_token);
    },
  });
}

/** `mode` is "signin" or "register"; `done(user, token)` is called once signed in. */
export function showSignIn(root, { mode, notice, done }) {
  const signingIn = mode === "signin";
  const title = h("h1", { tabindex: "-1" }, signingIn ? "Sign in" : "Create an account");
  const elsewhere = signingIn
    ? h("p", {}, "New here? ", h("a", { href: "#/register" }, "Create an account"))
    : h("p", {}, "Already have one? ", h("a", { href: "#/signin" }, "Sign in"));
  const lead = h("p.lead", {}, "Fill one cart together, live: everyone sees every change at once.");
  root.replaceChildren(
    h(
      "div.card.sign-in",
      {},
      title,
      lead,
      notice ? h("p.notice", { role: "status" }, notice) : null,
      signingIn ? signInForm(done) : registerForm(done),
      elsewhere,
    ),
  );
}
