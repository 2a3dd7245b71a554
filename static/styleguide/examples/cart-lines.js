import { h } from "../../js/app/dom.js";
import "../../js/elements/cart-lines.js";
import { EMPTY, pretendDesk, STATE } from "./pretend.js";

/** Drawn once it is in the page, as the cart's view does. */
function lines(given, state) {
  const element = h("cart-lines", { desk: pretendDesk({ ...given, state }) });
  queueMicrotask(() => element.draw(state));
  return element;
}

export const examples = {
  "For several people, one change on its way": () => lines({}, STATE),
  "For who may only look": () => lines({ role: "viewer" }, STATE),
  Empty: () => lines({}, EMPTY),
  "Empty, for who may only look": () => lines({ role: "viewer" }, EMPTY),
};
