/**
 * Vectors (`tests/vectors/`) against the library. A vector is a cart's state, and an op on it as it
 * is sent; then the effect and the state after it, or the error. What the service makes itself is
 * applied, but not judged here.
 */

import assert from "node:assert/strict";

import { CartroomError } from "../../static/sdk/errors.js";
import { judge } from "../../static/sdk/judge.js";
import { applyOp } from "../../static/sdk/reducer.js";

/** What the vector's op is judged to do. */
function judged({ op, state, user, products, users, limits, rev }) {
  return judge(state, op, {
    user,
    products: new Map(Object.entries(products)),
    users: new Map(Object.entries(users)),
    limits,
    line: (index) => `lin_${rev + 1}_${index}`,
  });
}

function errorOf(vector) {
  try {
    judged(vector);
  } catch (error) {
    assert.ok(error instanceof CartroomError, error.stack);
    const { code, message, temporary, extra } = error;
    assert.notEqual(message, "");
    return { code, message, temporary, ...extra };
  }
  return assert.fail("it was not refused");
}

function checkRefusal({ error, ...vector }) {
  const { message, ...told } = errorOf(vector);
  const expected = "message" in error ? { message, ...told } : told;
  assert.deepEqual(expected, error);
}

function checkEffect({ state, effect, after, untold = [] }) {
  const seen = applyOp(state, effect);
  const told = ([name]) => !untold.includes(name);
  const known = (one) => Object.fromEntries(Object.entries(one).filter(told));
  assert.deepEqual(known(seen), known(after));
}

/** Raises an AssertionError where the library says something else than the service. */
export function check(vector) {
  const before = structuredClone(vector.state);
  const isJudged = "op" in vector && !vector.by_service;
  if (isJudged && vector.error) checkRefusal(vector);
  if (isJudged && vector.effect) {
    const { effect, results } = judged(vector);
    assert.deepEqual(effect, vector.effect);
    assert.deepEqual(results, vector.results ?? null);
  }
  if (vector.effect) checkEffect(vector);
  assert.ok(isJudged || vector.effect || vector.error, "a vector that says nothing");
  assert.deepEqual(vector.state, before, "the state before was changed");
}
