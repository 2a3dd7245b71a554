/** Quantities, counted and in words. */

/** "1 piece", "3 pieces" */
export function piecesText(count) {
  return count === 1 ? "1 piece" : `${count} pieces`;
}

/** "3 × Mug" */
export function piecesOf(count, name) {
  return `${count} × ${name}`;
}

/** How many pieces of each sku a cart's state holds. */
export function piecesBySku(state) {
  const pieces = new Map();
  for (const line of state?.lines ?? []) {
    pieces.set(line.sku, (pieces.get(line.sku) ?? 0) + line.qty);
  }
  return pieces;
}
