/** What the reducer makes of ops that have no effect, or that it doesn't know. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { deed } from "../../static/js/describe.js";
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
