/** Signing in to an account that there is. */

import { login } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { define } from "../../elements/element.js";
import { form } from "../../elements/forms.js";
import {
  currentPasswordField,
  elsewhere,
  emailField,
  EntryView,
  LEAD,
  noticeLine,
} from "./frame.js";

const CARRIED = "What is in your carts as a guest goes into your account.";

/** `<sign-in-view>`; `desk.notice` says why somebody has to. */
export class SignInView extends EntryView {
  build() {
    const { notice, guest, enter } = this.desk;
    const fields = { email: emailField(), password: currentPasswordField() };
    const signIn = form(fields, {
      label: "Sign in",
      busyLabel: "Signing in…",
      extra: h("p.beside", {}, h("a", { href: "#/reset" }, "Forgot your password?")),
      attributes: { id: "sign-in" },
      send: (values) => enter(() => login(values)),
    });
    this.card(
      "Sign in",
      h("p.lead", {}, guest ? CARRIED : LEAD),
      noticeLine(notice),
      signIn,
      elsewhere(
        ["New here?", "#/register", "Create an account"],
        !guest && ["Just looking?", "#/guest", "Continue as guest"],
      ),
    );
  }
}

define("sign-in-view", SignInView);
