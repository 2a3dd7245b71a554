/** Which lines an op changed. */

const BY_LINE = new Set(["change_quantity", "set_quantity", "remove", "save_for_later"]);

/** The ids of the lines that an op touched, as it took effect. */
export function touchedLines(op) {
  if (op.kind === "add") return op.items.map((item) => item.line);
  if (op.kind === "move_to_cart") return [op.into ?? op.line];
  if (op.kind === "note" || BY_LINE.has(op.kind)) return op.line ? [op.into ?? op.line] : [];
  return [];
}
