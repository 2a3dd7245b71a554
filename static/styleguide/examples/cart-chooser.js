import { h } from "../../js/app/dom.js";
import "../../js/elements/cart-chooser.js";
import { pretendShopper } from "./pretend.js";

export const examples = {
  "Carts": () => h("cart-chooser", { app: pretendShopper() }),
  "One is in another currency; a new one can be made": () =>
    h("cart-chooser", { app: pretendShopper(), currency: "EUR", creates: true }),
};
