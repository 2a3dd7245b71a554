import { h } from "../../js/app/dom.js";
import { checkbox, field, passwordField } from "../../js/elements/forms.js";

const OPTIONS = ["Editor: may change it", "Viewer: may look at it"];

function wrong() {
  const made = field("E-mail", { type: "email", value: "ada at home" });
  made.setError("An address has an @ in it.");
  return made.element;
}

export const examples = {
  Text: () => field("Name", { value: "Ada" }, { hint: "What others in a cart see." }).element,
  "What is wrong stands below": wrong,
  "A password": () => passwordField("Password", { autocomplete: "off" }).element,
  "One of several": () => {
    const options = OPTIONS.map((text) => h("option", {}, text));
    return field("Role", {}, { control: "select", options }).element;
  },
  "A box to tick": () => checkbox("Mail me when somebody lets me into a cart", {}).element,
};
