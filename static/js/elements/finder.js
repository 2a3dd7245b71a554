/** The finder as the cart's view uses it: `<product-finder>` behind a function. */

import { h } from "../app/dom.js";
import "./product-finder.js";

/** `{element, refresh, focus, stop}`; `target` is as of `<product-finder>`. */
export function finder(target, extra = null) {
  const element = h("product-finder", { target, extra });
  return {
    element,
    refresh: () => element.refresh(),
    focus: () => element.focus(),
    stop: () => {},
  };
}

/** How many pieces of each sku a cart's state holds. */
export function piecesBySku(state) {
  const pieces = new Map();
  for (const line of state?.lines ?? []) {
    pieces.set(line.sku, (pieces.get(line.sku) ?? 0) + line.qty);
  }
  return pieces;
}
