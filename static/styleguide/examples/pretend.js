/** A cart, its people and a service to show elements with; nothing of it is sent anywhere. */

import { tell } from "../../js/elements/toasts.js";

export const ADA = {
  id: "usr_ada",
  name: "Ada Byron",
  email: "ada@shop.example",
  guest: false,
  confirmed: true,
  locale: null,
  currency: null,
};
export const GUEST = { ...ADA, id: "usr_guest", name: "Somebody", email: null, guest: true };
export const UNCONFIRMED = { ...ADA, confirmed: false };

export const PEOPLE = [
  { user: "usr_ada", name: "Ada Byron", role: "owner" },
  { user: "usr_ben", name: "Ben Okri", role: "editor" },
  { user: "usr_cleo", name: "Cleo", role: "viewer" },
];

const LINES = [
  { line: "l1", sku: "MUG", name: "Stoneware mug", unit_price: 1290, qty: 4, for: "usr_ada" },
  { line: "l2", sku: "TOWEL", name: "Linen towel", unit_price: 2490, qty: 2, for: "usr_ada" },
  {
    ...{ line: "l3", sku: "JAM", name: "Apricot jam", unit_price: 520, qty: 1, for: "usr_ben" },
    note: "The one without sugar",
  },
];
const SAVED = [
  { line: "l4", sku: "LAMP", name: "Paper lamp", unit_price: 4900, qty: 1, for: "usr_ben" },
];

export const STATE = {
  name: "Summer party",
  note: "By Friday, please.",
  currency: "EUR",
  lines: LINES,
  saved: SAVED,
  members: PEOPLE,
  totals: { lines: 3, pieces: 7, subtotal: 10_660, total: 10_660 },
};
export const EMPTY = {
  ...STATE,
  note: "",
  lines: [],
  saved: [],
  totals: { lines: 0, pieces: 0, subtotal: 0, total: 0 },
};

const HOUR_MS = 3_600_000;
const at = (hours) => new Date(Date.now() - hours * HOUR_MS).toISOString();
const HISTORY = [
  { rev: 1, by: "usr_ada", at: at(50), op: { kind: "create", name: "Summer party" } },
  {
    ...{ rev: 2, by: "usr_ada", at: at(49) },
    op: {
      kind: "add",
      items: [{ sku: "MUG", line: "l1", name: "Stoneware mug", qty: 3, for: "usr_ada" }],
    },
  },
  { rev: 3, by: "usr_ben", at: at(2), op: { kind: "change_quantity", line: "l1", by: 1 } },
  { rev: 4, by: "usr_ben", at: at(1), op: { kind: "note", line: "l3", text: "Without sugar" } },
];

const nothing = () => {};
const later = (answer) => async () => answer;

function person(user) {
  return PEOPLE.find((one) => one.user === user)?.name ?? "Former member";
}

/** The library's client, as far as elements look at it. */
export function pretendClient(status = "live", pending = 0) {
  return {
    status,
    pending,
    on: () => nothing,
    invitations: later([
      ...[{ invitation: "inv_1", email: "dora@shop.example", role: "editor", expires_at: at(-160) }],
    ]),
    invite: later({}),
    uninvite: later({}),
  };
}

export function pretendUnread(count) {
  return { count, on: () => nothing };
}

export function pretendApp(user = ADA, client = pretendClient()) {
  const names = { person, line: (id) => LINES.find(({ line }) => line === id)?.name };
  return { user, client, names, knowLine: nothing, unread: pretendUnread(2) };
}

/** What an open cart's elements are lent, for somebody with `role`. */
export function pretendDesk({ role = "owner", user = ADA, state = STATE, history = HISTORY } = {}) {
  const room = {
    ...{ cart: "crt_1", status: "live", role, state, pending: [] },
    on: () => nothing,
    history: later({ ops: history, more: false }),
    op: later({}),
  };
  return {
    app: pretendApp(user),
    room,
    me: user.id,
    currency: state.currency,
    owns: role === "owner",
    mayEdit: role !== "viewer",
    waiting: false,
    presenceTurn: 1,
    here: PEOPLE.slice(0, 2),
    missed: { since: 0, has: () => false },
    person,
    named: (id) => (id === user.id ? `${person(id)} (you)` : person(id)),
    whereIs: (id) => ({ usr_ada: "Here", usr_ben: "On Apricot jam" })[id] ?? null,
    lookers: (line) => (line === "l3" ? [PEOPLE[1]] : []),
    takeMoved: () => [],
    isPending: (line) => line === "l2",
    keyOf: ({ line }) => line,
    redraw: nothing,
    takePresence: nothing,
    remove: ({ name }) => tell(`${name} would be removed.`),
    act: async ({ kind }) => tell(`This would be sent: ${kind}.`),
  };
}

export const PRODUCT = {
  sku: "SHIRT-S-BLUE",
  name: "Linen shirt - Small, Blue",
  title: "Linen shirt",
  handle: "linen-shirt",
  price: { amount: 4400, currency: "EUR" },
  compare_at_price: { amount: 5900, currency: "EUR" },
  available: 4,
  description: "Washed linen, cut wide.",
  vendor: "Harbour Mill",
  category: "Clothing",
  tags: [],
  options: { Size: "Small", Colour: "Blue" },
  images: [],
};
export const PLAIN = {
  ...PRODUCT,
  ...{ sku: "MUG", name: "Stoneware mug", title: "Stoneware mug", handle: "mug", options: {} },
  ...{ price: { amount: 1290, currency: "EUR" }, compare_at_price: null, category: "Kitchen" },
  available: 120,
};
export const LONG_NAME =
  "Everything that we need for the long weekend at grandmother's house in the mountains, with all " +
  "that we forgot last year and the presents for the neighbours who look after the cat for us, and more";

export const CART_ROW = {
  ...{ cart: "crt_1", name: "Summer party", role: "owner", rev: 4, updated_at: at(1) },
  ...{ line_count: 4, pieces: 7, total: 10_660, currency: "EUR" },
  member_count: 3,
  members: PEOPLE,
};
const OTHER_ROW = { ...CART_ROW, cart: "crt_2", name: "Flat groceries", currency: "CHF" };

export const NOTIFICATION = {
  ...{ id: "ntf_1", kind: "changes", cart: "crt_1", cart_name: "Summer party", read: false },
  ...{ by: { user: "usr_ben", name: "Ben Okri" }, count: 4, kinds: { add: 3, remove: 1 } },
  ...{ lines: [LINES[2], LINES[1], SAVED[0]], first_rev: 5, last_rev: 8 },
  ...{ at: at(1), opened_at: at(1) },
};

/** An app as the catalog's elements look at it: with carts to choose from, one of them open. */
export function pretendShopper(rows = [CART_ROW, OTHER_ROW]) {
  const room = { cart: "crt_1", role: "owner", closed: false, state: STATE, on: () => nothing };
  return {
    ...pretendApp({ ...ADA, currency: "EUR" }),
    carts: { rows, fresh: true, on: () => nothing, watch: () => nothing },
    lastCart: rows[0]?.cart ?? null,
    open: () => room,
    act: later(null),
  };
}
