import { h } from "../../js/app/dom.js";
import "../../js/elements/cart-history.js";
import { pretendDesk } from "./pretend.js";

function history(given) {
  const element = h("cart-history", { desk: pretendDesk(given) });
  queueMicrotask(() => element.open());
  return element;
}

export const examples = {
  "Some changes": () => history({}),
};
