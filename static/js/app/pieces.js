/** Quantities in words. */

/** "1 piece", "3 pieces" */
export function piecesText(count) {
  return count === 1 ? "1 piece" : `${count} pieces`;
}

/** "3 × Mug" */
export function piecesOf(count, name) {
  return `${count} × ${name}`;
}
