import { h } from "../../js/app/dom.js";
import "../../js/elements/cart-card.js";
import { CART_ROW, LONG_NAME, PEOPLE } from "./pretend.js";

const me = "usr_ada";

export const examples = {
  "A cart": () => h("cart-card", { row: CART_ROW, me }),
  "Alone in an empty one": () =>
    h("cart-card", {
      row: { ...CART_ROW, pieces: 0, total: 0, members: PEOPLE.slice(0, 1), member_count: 1 },
      me,
    }),
  "A long name, many people, a large sum": () =>
    h("cart-card", {
      row: { ...CART_ROW, name: LONG_NAME, member_count: 112, pieces: 999, total: 123_456_789 },
      me,
    }),
};
