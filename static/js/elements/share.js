/** The dialog for letting somebody in: by mail, or by the user id that everybody finds here. */

import { dialog } from "./dialogs.js";
import { h } from "../app/dom.js";
import { field, form } from "./forms.js";
import { invitePart } from "./invite.js";

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

function grantForm(grant, close) {
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
      },
      { hint: "The id of whom you let in, as shown to them on this page." },
    ),
    role: roleField(),
  };
  return form(fields, {
    label: "Share",
    busyLabel: "Sharing…",
    attributes: { "aria-label": "Share by id" },
    send: async ({ user, role }) => {
      try {
        await grant({ user: user.trim(), role });
      } catch (error) {
        error.fields = { user: error.message };
        throw error;
      }
      close(true);
    },
  });
}

/**
 * `app` is ours, `cart` the one to share; `grant({user, role})` lets somebody in and rejects when
 * that is refused.
 */
export function shareDialog(app, cart, grant) {
  return dialog("Share this cart", (close) => [
    h("section.share-part", {}, h("h3", {}, "By e-mail"), invitePart(app, cart)),
    h(
      "section.share-part",
      {},
      h("h3", {}, "By id"),
      grantForm(grant, close),
      ownId(app.user),
    ),
  ]);
}

/** A field for the role that is given. */
export function roleField() {
  const options = [
    h("option", { value: "editor" }, "Editor: may change the cart"),
    h("option", { value: "viewer" }, "Viewer: may look"),
  ];
  return field("Role", { name: "role" }, { control: "select", options });
}
