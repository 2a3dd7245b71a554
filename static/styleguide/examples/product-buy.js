import { h } from "../../js/app/dom.js";
import "../../js/elements/product-buy.js";
import { PLAIN, PRODUCT, pretendShopper } from "./pretend.js";

export const examples = {
  "Into a cart, for one of its people": () =>
    h("product-buy", { app: pretendShopper(), product: PLAIN }),
  "No cart yet": () => h("product-buy", { app: pretendShopper([]), product: PRODUCT }),
  "Sold out": () =>
    h("product-buy", { app: pretendShopper(), product: { ...PRODUCT, available: 0 } }),
  "Nobody is signed in": () => h("product-buy", { product: PRODUCT }),
};
