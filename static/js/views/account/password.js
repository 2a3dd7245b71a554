/** Another password. */

import { changePassword } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { form, passwordField } from "../../elements/forms.js";
import { tell } from "../../elements/toasts.js";
import { PASSWORD_HINT, PASSWORD_MIN } from "../entry/frame.js";
import { showPage } from "./frame.js";

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

export function showPassword(root, app) {
  const fields = {
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
  const change = form(fields, {
    label: "Change password",
    busyLabel: "Changing it…",
    before: usernameFor(app.user),
    attributes: { id: "change-password" },
    send: async (values) => {
      await changePassword(values);
      change.reset();
      tell("Your password is changed. You are signed out on all other devices.");
    },
  });
  const forgot = h("p", {}, "Don't know it? ", h("a", { href: "#/reset" }, "Set a new one by mail"));
  showPage(root, app, "Password", [
    h("p.muted", {}, "Changing it signs you out on all other devices."),
    change,
    forgot,
  ]);
}
