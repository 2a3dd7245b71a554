/** The dialog for letting somebody in: by user id, which everybody finds here about themselves. */

import { dialog } from "../dialogs.js";
import { h } from "../dom.js";
import { field, form } from "../forms.js";

/** A user's own id with a button that copies it. */
export function ownId(user) {
  const code = h("code.own-id", { tabindex: "0" }, user.id);
  const told = h("span.copied", { role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(user.id);
      told.textContent = "Copied";
    } catch {
      // No clipboard without permission or a secure page: mark it, so that Ctrl+C takes it.
      getSelection().selectAllChildren(code);
      told.textContent = "Press Ctrl+C to copy";
    }
  };
  const button = h("button", { type: "button", onclick: copy }, "Copy");
  return h(
    "div.own-id-box",
    {},
    h("span.label", {}, "Your own id"),
    h("div.own-id-row", {}, code, button),
    told,
  );
}

/** `share(grant)` sends `{user, role}` and rejects when it is refused. */
export function shareDialog(user, share) {
  const fields = {
    user: field(
      "User id",
      {
        name: "user",
        required: true,
        autocomplete: "off",
        autocapitalize: "off",
        spellcheck: "false",
        maxlength: "64",
        pattern: "\\s*usr_[0-9A-Za-z_\\-]+\\s*",
        title: "An id starts with usr_",
        autofocus: true,
      },
      { hint: "The id of whom you let in, as shown to them on this page." },
    ),
    role: roleField(),
  };
  return dialog("Share this cart", (close) => [
    form(fields, {
      label: "Share",
      send: async ({ user: wanted, role }) => {
        try {
          await share({ user: wanted.trim(), role });
        } catch (error) {
          error.fields = { user: error.message };
          throw error;
        }
        close(true);
      },
    }),
    ownId(user),
  ]);
}

function roleField() {
  const options = [
    h("option", { value: "editor" }, "Editor: may change the cart"),
    h("option", { value: "viewer" }, "Viewer: may look"),
  ];
  return field("Role", { name: "role" }, { control: "select", options });
}
