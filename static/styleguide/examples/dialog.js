import { h } from "../../js/app/dom.js";
import { confirmed, dialog } from "../../js/elements/dialogs.js";

const opens = (label, onclick) => () => h("button", { type: "button", onclick }, label);

export const examples = {
  "A question": opens("Delete…", () =>
    confirmed("Delete this cart?", "It is deleted for all its members.", "Delete"),
  ),
  "Anything else": opens("Open", () =>
    dialog("Share this cart", () => h("p", {}, "Whatever it is about.")),
  ),
};
