/** Another password. */

import { changePassword } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { define } from "../../elements/element.js";
import { form, passwordField } from "../../elements/forms.js";
import { tell } from "../../elements/toasts.js";
import { PASSWORD_HINT, PASSWORD_MIN } from "../entry/frame.js";
import { AccountView } from "./frame.js";

/** Tells managers of passwords whose it is; people see it above. */
export function usernameFor(user) {
  return h("input.unseen", {
    type: "text",
    name: "username",
    autocomplete: "username",
    value: user.email ?? "",
    readonly: true,
    tabindex: "-1",
    "aria-hidden": "true",
  });
}

function passwordFields() {
  return {
    current_password: passwordField("Current password", {
      id: "current-password",
      name: "current-password",
      autocomplete: "current-password",
    }),
    new_password: passwordField(
      "New password",
      {
        id: "new-password",
        name: "new-password",
        autocomplete: "new-password",
        minlength: String(PASSWORD_MIN),
        passwordrules: `minlength: ${PASSWORD_MIN};`,
      },
      { hint: PASSWORD_HINT },
    ),
  };
}

/** `<password-view>` */
export class PasswordView extends AccountView {
  build() {
    const change = form(passwordFields(), {
      label: "Change password",
      busyLabel: "Changing it…",
      before: usernameFor(this.app.user),
      attributes: { id: "change-password" },
      send: async (values) => {
        await changePassword(values);
        change.reset();
        tell("Your password is changed. You are signed out on all other devices.");
      },
    });
    const byMail = h("a", { href: "#/reset" }, "Set a new one by mail");
    this.page("Password", [
      h("p.muted", {}, "Changing it signs you out on all other devices."),
      change,
      h("p", {}, "Don't know it? ", byMail),
    ]);
  }
}

define("password-view", PasswordView);
