import { h } from "../../js/app/dom.js";
import "../../js/elements/note-editor.js";

const label = "Note on the cart";
const onnote = ({ target, detail }) => {
  target.text = detail;
};
const note = (props) => h("note-editor", { label, onnote, ...props });

export const examples = {
  "A note": () => note({ text: "By Friday, please.", editable: true }),
  "A long one": () => note({ text: "By Friday, please, or else on Monday. ".repeat(12), editable: false }),
  "Being written": () => {
    const element = note({ text: "By Friday, please.", editable: true });
    const onclick = () => element.open();
    return h("div", {}, element, h("button", { type: "button", onclick }, "Write"));
  },
  "For who may only look": () => note({ text: "By Friday, please.", editable: false }),
};
