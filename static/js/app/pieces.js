/** Quantities, counted and in words. */

import { inLocale } from "./locale.js";

const format = inLocale((locale) => new Intl.NumberFormat(locale));

/** "12,345", as the reader writes it. */
export function countText(count) {
  return format().format(count);
}

/** "1 piece", "3 pieces" */
export function piecesText(count) {
  return count === 1 ? "1 piece" : `${countText(count)} pieces`;
}

/** How much a cart holds: "empty", "3 pieces" */
export function contentText(count) {
  return count ? piecesText(count) : "empty";
}

/** "3 × Mug" */
export function piecesOf(count, name) {
  return `${countText(count)} × ${name}`;
}

/** How many pieces of each sku a cart's state holds. */
export function piecesBySku(state) {
  const pieces = new Map();
  for (const line of state?.lines ?? []) {
    pieces.set(line.sku, (pieces.get(line.sku) ?? 0) + line.qty);
  }
  return pieces;
}
