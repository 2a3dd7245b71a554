import { h } from "../../js/app/dom.js";
import "../../js/elements/product-finder.js";

export const examples = {
  "The catalog": () => h("product-finder", { browses: true }),
};
