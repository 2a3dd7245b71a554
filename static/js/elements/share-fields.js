/** The fields of the forms that let somebody in. */

import { h } from "../app/dom.js";
import { GIVEN_ROLES, ROLE_NAMES } from "../app/roles.js";
import { field } from "./forms.js";

const PLAIN = { autocomplete: "off", autocapitalize: "off", spellcheck: "false" };

/** The role that is given. */
export function roleField() {
  const options = GIVEN_ROLES.map(({ role, allows }) =>
    h("option", { value: role }, `${ROLE_NAMES[role]}: ${allows}`),
  );
  return field("Role", { name: "role" }, { control: "select", options });
}

export function emailField() {
  return field("E-mail", {
    ...PLAIN,
    name: "invited-email",
    type: "email",
    required: true,
    inputmode: "email",
    maxlength: "254",
    autofocus: true,
  });
}

/** Somebody's id. */
export function userField() {
  return field(
    "User id",
    {
      ...PLAIN,
      name: "user",
      required: true,
      maxlength: "64",
      pattern: "\\s*usr_[0-9A-Za-z_\\-]+\\s*",
      title: "An id starts with usr_",
    },
    { hint: "They find theirs in “My carts”, and can send it to you." },
  );
}
