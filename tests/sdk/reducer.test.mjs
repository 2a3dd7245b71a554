/** What the reducer makes of ops that have no effect, or that it doesn't know. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { deed } from "../../static/js/app/describe.js";
import { applyOp, OutOfStep } from "../../static/sdk/reducer.js";

const STATE = { name: "Picnic", lines: [], saved: [], members: [], totals: {} };
const REFUSAL = {
  kind: "refuse",
  code: "out_of_stock",
  message: "Only 2 of Mug can be had; the cart would hold 3.",
  sku: "MUG",
  available: 2,
};

test("a refusal on record changes nothing", () => {
  assert.equal(applyOp(STATE, REFUSAL), STATE);
});

test("the history tells a refusal in the service's words", () => {
  const told = deed(REFUSAL, "usr_1", { person: () => "Ana", line: () => undefined });
  assert.equal(told, `tried something that was refused: ${REFUSAL.message}`);
});

test("an unknown kind takes a fresh state", () => {
  assert.throws(() => applyOp(STATE, { kind: "mystery" }), OutOfStep);
});

const line = (id, sku, user, qty, note = "") => ({
  line: id,
  sku,
  name: sku,
  unit_price: 10,
  qty,
  for: user,
  note,
});
const member = (user, role) => ({ user, name: user.toUpperCase(), role });
const CART = {
  name: "Picnic",
  lines: [
    line("l1", "MUG", "guest", 2, "red"),
    line("l2", "CUP", "guest", 1),
    line("l3", "MUG", "bea", 3, "big"),
  ],
  saved: [line("l4", "POT", "guest", 1)],
  members: [member("guest", "owner"), member("bea", "viewer"), member("cem", "editor")],
  totals: { lines: 3, pieces: 6, subtotal: 60, total: 60 },
};

test("a merge makes the guest's lines the account's, and the account a member", () => {
  const op = {
    kind: "merge",
    user: "guest",
    into: "bea",
    role: "owner",
    name: "Bea",
    lines: [{ line: "l1", into: "l3" }, { line: "l2" }, { line: "l4" }],
  };
  const after = applyOp(CART, op);
  assert.deepEqual(after.lines, [
    line("l2", "CUP", "bea", 1),
    line("l3", "MUG", "bea", 5, "big\nred"),
  ]);
  assert.deepEqual(after.saved, [line("l4", "POT", "bea", 1)]);
  const bea = { user: "bea", name: "Bea", role: "owner" };
  assert.deepEqual(after.members, [bea, member("cem", "editor")]);
  assert.deepEqual(after.totals, { lines: 2, pieces: 6, subtotal: 60, total: 60 });
});

test("who departs leaves the lines, and an owner a successor", () => {
  const after = applyOp(CART, { kind: "depart", user: "guest", successor: "cem" });
  assert.equal(after.lines, CART.lines);
  assert.deepEqual(after.members, [member("bea", "viewer"), member("cem", "owner")]);
  const alone = applyOp(CART, { kind: "depart", user: "cem" });
  assert.deepEqual(alone.members, CART.members.slice(0, 2));
});
