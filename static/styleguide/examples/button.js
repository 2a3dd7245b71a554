import { h, icon } from "../../js/app/dom.js";

const button = (selector, ...content) => h(`button${selector}`, { type: "button" }, content);
const row = (...content) => () => h("div.actions", {}, content);

export const examples = {
  Plain: row(button("", "Save"), button(".primary", "Save"), button(".danger", "Delete")),
  Quiet: row(button(".quiet", "Cancel"), button(".small", "Small")),
  "With an icon": row(
    button(".primary", icon("share"), "Share"),
    h("button.icon-button", { type: "button", "aria-label": "Remove" }, icon("remove")),
  ),
  "Off, and busy": row(
    h("button", { type: "button", disabled: true }, "Save"),
    h("button.primary", { type: "button", "aria-disabled": "true" }, "Save"),
    h("button.busy", { type: "button", "aria-disabled": "true" }, "Saving…"),
  ),
  "A link as a button": row(h("a.button", { href: "#button" }, "My carts")),
};
