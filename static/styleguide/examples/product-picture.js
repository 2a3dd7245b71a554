import { h } from "../../js/app/dom.js";
import "../../js/elements/product-picture.js";
import { PLAIN, PRODUCT } from "./pretend.js";

export const examples = {
  "A monogram in the hue of its kind": () => h("product-picture", { product: PLAIN }),
  "Of another kind": () => h("product-picture", { product: PRODUCT }),
};
