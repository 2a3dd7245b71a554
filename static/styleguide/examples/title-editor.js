import { h } from "../../js/app/dom.js";
import "../../js/elements/title-editor.js";

const title = (editable) => () => h("title-editor", { name: "Summer party", editable });

export const examples = {
  "To be renamed": title(true),
  "To be looked at": title(false),
};
