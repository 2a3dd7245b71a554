import { h } from "../../js/app/dom.js";
import "../../js/elements/category-list.js";

export const examples = {
  "The catalog's categories": () => h("category-list", {}),
};
