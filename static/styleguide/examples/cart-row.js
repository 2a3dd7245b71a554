import { h } from "../../js/app/dom.js";
import "../../js/elements/cart-row.js";
import { CART_ROW, LONG_NAME } from "./pretend.js";

const row = (changes = {}, state = {}) =>
  h("cart-row", { row: { ...CART_ROW, ...changes }, me: "usr_ada", ...state });

export const examples = {
  "A cart of one's own": () => row(),
  "Somebody else's, to look at": () => row({ role: "viewer" }),
  "One isn't told what happens in it": () => row({ muted: true }),
  "Its new name is on its way": () => row({ name: "Street party" }, { waiting: true }),
  "About to be deleted": () => row({}, { going: { sent: null } }),
  "Being deleted": () => row({}, { going: { sent: true } }),
  "A long name, many people, a large sum": () =>
    row({ name: LONG_NAME, member_count: 112, pieces: 999, total: 123_456_789 }),
};
