import { h } from "../../js/app/dom.js";
import "../../js/elements/popup-menu.js";
import { tell } from "../../js/elements/toasts.js";

const act = () => tell("This would be done.");
const items = [
  { label: "Rename", icon: "note", act },
  { label: "Leave", icon: "leave", act },
  { label: "Duplicate", icon: "copy", disabled: true },
  { label: "Delete", icon: "remove", danger: true, act },
];

export const examples = {
  "Behind three dots": () => h("popup-menu", { label: "More for Summer party", items }),
  "Behind a word": () => h("popup-menu", { label: "Sort", face: "Sort", items: items.slice(0, 2) }),
};
