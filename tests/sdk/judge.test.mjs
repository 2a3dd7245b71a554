/** Judging without knowing all that the service knows. What it says itself is in the vectors. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { judge } from "../../static/sdk/judge.js";

const line = (id, sku, user, qty) => ({
  line: id,
  sku,
  name: sku.toLowerCase(),
  unit_price: 100,
  qty,
  for: user,
  note: "",
});
const CART = {
  name: "Picnic",
  note: "",
  currency: "EUR",
  status: "open",
  lines: [line("l1", "MUG", "ana", 2), line("l2", "MUG", "bea", 3)],
  saved: [line("l3", "POT", "bea", 1)],
  members: [
    { user: "ana", name: "Ana", role: "owner" },
    { user: "bea", name: "Bea", role: "editor" },
  ],
  totals: { lines: 2, pieces: 5, subtotal: 500, total: 500 },
};

function freeze(value) {
  Object.values(value).forEach((each) => each && typeof each === "object" && freeze(each));
  return Object.freeze(value);
}
freeze(CART);

const LIMITS = { lines: 1_000, members: 250, pieces: 100_000, items: 200 };
const context = (more = {}) => ({
  user: "ana",
  products: new Map(),
  users: new Map(),
  limits: LIMITS,
  line: (index) => `new:op:${index}`,
  ...more,
});
const add = (...items) => ({ kind: "add", items });
const refusal = (op, more) => {
  try {
    judge(CART, op, context(more));
  } catch (error) {
    return error.code;
  }
  return null;
};

test("an unknown product can't be judged", () => {
  assert.equal(judge(CART, add({ sku: "CUP", qty: 1 }), context()), null);
  const mixed = add({ sku: "MUG", qty: 1 }, { sku: "CUP", qty: 1 });
  assert.equal(judge(CART, { ...mixed, partial: true }, context()), null);
});

test("a line of the cart, also a saved one, tells of a product", () => {
  const { effect, results } = judge(CART, add({ sku: "MUG", qty: 90_000 }), context());
  const mug = { sku: "MUG", qty: 90_000, for: "ana", line: "l1", name: "mug", unit_price: 100 };
  assert.deepEqual(effect.items, [mug]);
  assert.deepEqual(results, [{ line: "l1", qty: 90_000 }]);
  const [pot] = judge(CART, add({ sku: "POT", qty: 1 }), context()).effect.items;
  assert.deepEqual([pot.line, pot.name, pot.unit_price], ["new:op:0", "pot", 100]);
});

test("what is told of a product goes before what the cart tells of it", () => {
  const products = new Map([["MUG", { name: "New mug", unit_price: 120 }]]);
  const op = add({ sku: "MUG", qty: 1, for: undefined }, { sku: "MUG", qty: 1, for: "bea" });
  const { effect } = judge(CART, op, context({ products }));
  const told = effect.items.map((item) => [item.line, item.for, item.name, item.unit_price]);
  assert.deepEqual(told, [
    ["l1", "ana", "New mug", 120],
    ["l2", "bea", "New mug", 120],
  ]);
});

test("an unknown product does not refuse what the rest of the cart does", () => {
  assert.equal(refusal({ kind: "add", items: [] }), "bad_request");
  assert.equal(refusal(add({ sku: "CUP", qty: 1 }), { user: "cem" }), "not_found");
  const few = { ...LIMITS, items: 1 };
  const two = add({ sku: "CUP", qty: 1 }, { sku: "CUP", qty: 1 });
  assert.equal(refusal(two, { limits: few }), "limit_exceeded");
  assert.equal(refusal(add({ sku: "MUG", qty: 1, for: "cem" })), "not_found");
});

test("stock that isn't known does not refuse", () => {
  const raise = { kind: "change_quantity", line: "l1", by: 1 };
  const told = (facts) => ({ products: new Map([["MUG", facts]]) });
  const mug = { name: "Mug", unit_price: 100 };
  for (const facts of [mug, { ...mug, available: null }, { ...mug, available: 6 }]) {
    assert.equal(refusal(raise, told(facts)), null);
  }
  assert.equal(refusal(raise, told({ ...mug, available: 5 })), "out_of_stock");
  assert.equal(refusal(raise, told(null)), "unknown_sku");
  assert.equal(refusal({ ...raise, by: -1 }, told(null)), null);
});

test("a line that is in the cart already is not raised by moving it there", () => {
  const products = new Map([["MUG", null]]);
  assert.equal(refusal({ kind: "move_to_cart", line: "l1" }, { products }), null);
});

test("whether somebody exists who is no member is not for us to say", () => {
  const share = (...users) => ({
    kind: "share",
    users: users.map((user) => ({ user, role: "viewer" })),
  });
  assert.equal(judge(CART, share("cem"), context()), null);
  assert.equal(judge(CART, share("bea", "cem"), context()), null);
  assert.equal(refusal(share("ana", "cem")), "forbidden");
  assert.equal(refusal(share("cem"), { users: new Map([["cem", null]]) }), "not_found");
  const users = new Map([["cem", "Cem"]]);
  const { effect } = judge(CART, share("bea", "cem"), context({ users }));
  assert.deepEqual(effect.users, [
    { user: "bea", role: "viewer", name: "Bea" },
    { user: "cem", role: "viewer", name: "Cem" },
  ]);
});

test("without limits there are none", () => {
  assert.equal(refusal(add({ sku: "MUG", qty: 100_000 }), { limits: undefined }), null);
});

test("a value is taken as JSON would carry it", () => {
  const changed = (by) => ({ kind: "change_quantity", line: "l1", by });
  assert.equal(refusal({ ...changed(1), note: undefined }), null);
  assert.equal(refusal(changed(undefined)), "bad_request");
  assert.equal(refusal(changed(NaN)), "bad_request");
  assert.equal(refusal(changed(1e30)), "bad_request");
  assert.equal(refusal({ kind: "note", text: "x", line: undefined }), null);
  assert.equal(refusal({ kind: "add", items: [, { sku: "MUG", qty: 1 }] }), "bad_request");
  assert.equal(refusal({ kind: "rename", name: "cut \ud83e" }), "bad_request");
});

test("what is no op of a client's", () => {
  for (const op of [undefined, null, 3, "clear", [], {}, { kind: 3 }, { kind: "constructor" }]) {
    assert.equal(refusal(op), "bad_request");
  }
  assert.equal(refusal({ kind: "clear", __proto__: null, constructor: 1 }), "bad_request");
});
