/**
 * What a cart will look like once our waiting changes have taken effect: the committed state with
 * each of them played on it, as far as can be foretold. Pure.
 */

import { provisionalLine } from "./entry.js";
import { CartroomError } from "./errors.js";
import { judge } from "./judge.js";
import { applyOp, OutOfStep } from "./reducer.js";

/**
 * `{state, touched}`: the state to show, and the lines that waiting changes are about. `entries`
 * are in the order in which they will be sent; one that would be refused, or of which too little is
 * known, shows nothing: the service decides. `former` is the state shown before: lines that are
 * equal stay the same objects.
 */
export function predict(committed, entries, { user, limits, former }) {
  const products = new Map();
  for (const entry of entries) {
    for (const facts of entry.products ?? []) products.set(facts.sku, facts);
  }
  let state = committed;
  const touched = new Set();
  for (const entry of entries) {
    const effect = foretell(state, entry, { user, limits, products });
    for (const line of linesOf(effect ?? entry.op, state)) touched.add(line);
    if (effect) state = applied(state, effect);
  }
  return { state: former ? keepLines(state, committed, former) : state, touched };
}

function foretell(state, entry, context) {
  try {
    const line = (index) => `new ${index}`;
    const foretold = judge(state, entry.op, { ...context, line });
    return foretold && named(foretold.effect, entry, context.user);
  } catch (error) {
    if (error instanceof CartroomError) return null;
    throw error;
  }
}

function applied(state, effect) {
  try {
    return applyOp(state, effect);
  } catch (error) {
    if (error instanceof OutOfStep) return state;
    throw error;
  }
}

/** New lines have ids that depend on the op alone: they stay what they are on another state. */
function named(effect, entry, user) {
  if (effect.kind !== "add") return effect;
  const items = effect.items.map((item) => {
    if (!item.line.startsWith("new ")) return item;
    const first = entry.op.items.findIndex(
      (asked) => asked.sku === item.sku && (asked.for ?? user) === item.for,
    );
    return { ...item, line: entry.lines?.[first] ?? provisionalLine(entry.opId, first) };
  });
  return { ...effect, items };
}

/** The lines that an effect, or an op that can't be foretold, is about. */
function linesOf({ kind, line, into, items }, state) {
  if (kind === "clear") return state.lines.map((each) => each.line);
  const lines = items ? items.map((item) => item.line) : [line, into];
  return lines.filter((each) => typeof each === "string");
}

/** Lines that were foretold before, and are the same, stay the same objects. */
function keepLines(state, committed, former) {
  const kept = {};
  for (const list of ["lines", "saved"]) {
    if (state[list] === committed[list]) continue;
    const known = new Set(committed[list]);
    const before = new Map(former[list].map((line) => [line.line, line]));
    kept[list] = state[list].map((line) => {
      const same = known.has(line) ? null : before.get(line.line);
      return same && isEqual(same, line) ? same : line;
    });
  }
  return { ...state, ...kept };
}

function isEqual(a, b) {
  return Object.keys(b).every((key) => a[key] === b[key]);
}
