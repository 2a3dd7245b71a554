import { h } from "../../js/app/dom.js";
import "../../js/elements/product-card.js";
import { LONG_NAME, PLAIN, PRODUCT } from "./pretend.js";

const target = { add: async () => true, count: () => 2, ready: () => true };

export const examples = {
  "To be opened": () => h("product-card", { product: PLAIN }),
  "To be added; two are in the cart": () => h("product-card", { product: PLAIN, target }),
  "Reduced, and few are left": () => h("product-card", { product: PRODUCT, target }),
  "Sold out": () => h("product-card", { product: { ...PRODUCT, available: 0 }, target }),
  "A long name, a large price": () =>
    h("product-card", {
      product: { ...PLAIN, name: LONG_NAME, price: { amount: 123_456_789, currency: "EUR" } },
      target,
    }),
};
