import { h } from "../../js/app/dom.js";
import "../../js/elements/cart-create.js";
import { pretendShopper } from "./pretend.js";

export const examples = {
  "A new cart": () => h("cart-create", { app: pretendShopper() }),
};
