/**
 * Ops in words, for toasts, screen readers and the history. `names` says what people and lines
 * are called: `person(user)` and `line(id)` give a name, or undefined; `me` is who reads it, if known.
 */

import { countText, piecesOf } from "./pieces.js";

const ROLE_TEXT = { viewer: "may look", editor: "may edit", owner: "owns the cart" };

const SOMEBODY = "Somebody";
const SOMETHING = "an item";
/** Of a note, where it is said in a sentence. */
const NOTE_SAID_MAX = 100;

/** Somebody within a sentence. */
function whom(user, names, fallback = SOMEBODY) {
  return user === names.me ? "you" : (names.person(user) ?? fallback);
}

function listed(texts, most = 3) {
  const shown = texts.slice(0, most);
  const rest = texts.length - shown.length;
  if (rest > 0) return `${shown.join(", ")} and ${rest} more`;
  if (shown.length < 2) return shown.join("");
  return `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

function added(op, by, names) {
  const items = listed(op.items.map((item) => piecesOf(item.qty, item.name)));
  const others = [...new Set(op.items.map((item) => item.for).filter((user) => user !== by))];
  if (!others.length) return `added ${items}`;
  return `added ${items} for ${listed(others.map((user) => whom(user, names, "somebody")))}`;
}

function quantity(op, names) {
  const item = names.line(op.line) ?? SOMETHING;
  return op.by > 0 ? `added ${piecesOf(op.by, item)}` : `took ${piecesOf(-op.by, item)} away`;
}

function noted(op, names) {
  const where = op.line ? ` on ${names.line(op.line) ?? SOMETHING}` : " on the cart";
  return op.text ? `wrote a note${where}: “${op.text}”` : `removed the note${where}`;
}

const WORDS = {
  create: (op) => `made the cart “${op.name}”`,
  add: added,
  change_quantity: (op, _by, names) => quantity(op, names),
  set_quantity: (op, _by, names) => `set ${names.line(op.line) ?? SOMETHING} to ${countText(op.qty)}`,
  remove: (op, _by, names) => `removed ${names.line(op.line) ?? SOMETHING}`,
  clear: () => "emptied the cart",
  rename: (op) => `renamed the cart to “${op.name}”`,
  note: (op, _by, names) => noted(op, names),
  save_for_later: (op, _by, names) => `saved ${names.line(op.line) ?? SOMETHING} for later`,
  move_to_cart: (op, _by, names) => `moved ${names.line(op.line) ?? SOMETHING} back to the cart`,
  share: (op, _by, names) =>
    `shared the cart: ${listed(
      op.users.map(
        ({ user, role, name }) =>
          `${user === names.me ? "you" : (name ?? whom(user, names, user))} ${ROLE_TEXT[role]}`,
      ),
    )}`,
  unshare: (op, by, names) =>
    op.user === by ? "left the cart" : `removed ${whom(op.user, names)} from the cart`,
  delete: () => "deleted the cart",
  merge: () => "signed in and brought along what they had added as a guest",
  depart: (op, _by, names) =>
    op.successor
      ? `closed their account; the cart belongs to ${whom(op.successor, names, "somebody")} now`
      : "closed their account",
  refuse: (op) => `tried something that was refused: ${op.message}`,
};

/** What was done, without who: "added 2 × Mug". */
export function deed(op, by, names) {
  return WORDS[op.kind]?.(op, by, names) ?? `changed the cart (${op.kind})`;
}

/** A sentence: "Ana added 2 × Mug". Of a long note it has the beginning. */
export function sentence({ op, by }, names) {
  const said = op.kind === "note" ? { ...op, text: beginning(op.text) } : op;
  const who = by === names.me ? "You" : (names.person(by) ?? SOMEBODY);
  return `${who} ${deed(said, by, names)}`;
}

function beginning(text) {
  const letters = Array.from(text);
  if (letters.length <= NOTE_SAID_MAX) return text;
  return `${letters.slice(0, NOTE_SAID_MAX).join("").trimEnd()}…`;
}

/** Who else is in a cart, for `me`: "only you", "with Ben and 3 more". */
export function companyOf({ members = [], member_count: count = members.length }, me) {
  const others = members.filter(({ user }) => user !== me).map(({ name }) => name);
  const unnamed = count - 1 - others.length;
  if (count < 2) return "only you";
  const named = [...others.slice(0, 2)];
  const rest = others.length - named.length + unnamed;
  if (rest > 0) return `with ${[...named, `${rest} more`].join(", ").replace(/, ([^,]*)$/, " and $1")}`;
  return `with ${named.join(" and ")}`;
}
