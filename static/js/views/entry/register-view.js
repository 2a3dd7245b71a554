/** Making an account; a guest keeps what they have. */

import { register } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { define } from "../../elements/element.js";
import { form } from "../../elements/forms.js";
import {
  elsewhere,
  emailField,
  EntryView,
  LEAD,
  nameField,
  newPasswordField,
  noticeLine,
} from "./frame.js";

const KEPT = "Your carts stay yours, on every device where you sign in.";

/** `<register-view>`; `desk.guest` is the guest who makes the account, or null. */
export class RegisterView extends EntryView {
  build() {
    const { notice, guest, enter } = this.desk;
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
    this.card(
      "Create an account",
      h("p.lead", {}, guest ? KEPT : LEAD),
      noticeLine(notice),
      create,
      elsewhere(
        ["Already have one?", "#/signin", "Sign in"],
        !guest && ["Just looking?", "#/guest", "Continue as guest"],
      ),
    );
  }
}

define("register-view", RegisterView);
