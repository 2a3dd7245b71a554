/** What a schedule's two tabs do, as its seed decides. */

import { random } from "./random.mjs";

export const OPS = 20;

const KINDS = {
  add: 30,
  change_quantity: 16,
  set_quantity: 12,
  remove: 8,
  clear: 2,
  rename: 6,
  note: 9,
  save_for_later: 8,
  move_to_cart: 8,
  share: 8,
  unshare: 2,
};
/** BOWL and CARD are few, DOLLAR is in another currency, NONE is nothing. */
const SKUS = { MUG: 30, BUNTING: 20, BOWL: 25, CARD: 20, DOLLAR: 3, NONE: 2 };
/** What a page would know of the products. */
const FACTS = {
  MUG: { sku: "MUG", name: "Stoneware mug", unit_price: 1290, currency: "EUR", available: 500 },
  BUNTING: { sku: "BUNTING", name: "Party bunting", unit_price: 799, currency: "EUR" },
  BOWL: { sku: "BOWL", name: "Hand-painted bowl", unit_price: 2450, currency: "EUR", available: 3 },
  CARD: { sku: "CARD", name: "Greeting card", unit_price: 250, currency: "EUR", available: 12 },
};
const PAUSES = { none: 40, moment: 35, answer: 25 };

/**
 * `{onePerson, role, isPatient, steps: [{tab, act, pause, chance}], deletes}`; `isPatient`: nothing is
 * done before both tabs see the cart; `chance` of a step makes its op.
 */
export function makePlan(seed) {
  const chance = random(seed, "plan");
  const steps = [];
  for (let step = 0; step < OPS; step += 1) {
    steps.push({
      tab: chance.between(0, 1),
      act: "op",
      pause: chance.weighted(PAUSES),
      chance: random(seed, "step", step),
    });
  }
  const sometimes = (probability, ...acts) => {
    if (!chance.chance(probability)) return;
    const tab = chance.between(0, 1);
    let at = 0;
    for (const act of acts) {
      at = chance.between(at + 1, steps.length);
      steps.splice(at, 0, { tab, act, pause: chance.weighted({ none: 1, moment: 1 }) });
    }
  };
  sometimes(0.6, "reload");
  sometimes(0.3, "reload");
  sometimes(0.4, "close");
  sometimes(0.3, "cut");
  sometimes(0.4, "goOffline", "goOnline");
  sometimes(0.2, "goOffline", "reload", "goOnline");
  return {
    onePerson: chance.chance(0.3),
    role: chance.weighted({ editor: 4, viewer: 1 }),
    isPatient: chance.chance(0.85),
    steps,
    deletes: chance.chance(0.03),
  };
}

/** An op on what a tab sees, `{op, products?}`. `cast`: `{owner, other}`. */
export function makeOp(chance, state, cast) {
  const kind = chance.weighted(KINDS);
  const op = MAKERS[kind](chance, state ?? { lines: [], saved: [] }, cast);
  if (kind !== "add" || chance.chance(0.3)) return { op };
  const known = new Set(op.items.map((item) => item.sku));
  return { op, products: Object.values(FACTS).filter(({ sku }) => known.has(sku)) };
}

const MAKERS = {
  add(chance, _state, { owner, other }) {
    const items = [];
    do {
      const item = { sku: chance.weighted(SKUS), qty: chance.between(1, 3) };
      if (chance.chance(0.2)) item.for = chance.pick([owner, other]).id;
      items.push(item);
    } while (chance.chance(0.25));
    return { kind: "add", items, ...(chance.chance(0.4) ? { partial: true } : {}) };
  },
  change_quantity: (chance, state) => ({
    kind: "change_quantity",
    line: lineOf(chance, state.lines),
    by: chance.pick([-2, -1, 1, 1, 2]),
  }),
  set_quantity: (chance, state) => ({
    kind: "set_quantity",
    line: lineOf(chance, state.lines),
    qty: chance.between(1, 6),
  }),
  remove: (chance, state) => ({ kind: "remove", line: anyLineOf(chance, state) }),
  clear: () => ({ kind: "clear" }),
  rename: (chance) => ({ kind: "rename", name: `Name ${chance.between(1, 1e9)}` }),
  note: (chance, state) => ({
    kind: "note",
    ...(chance.chance(0.6) ? { line: anyLineOf(chance, state) } : {}),
    text: chance.pick(["", "the blue one", "für Béla 🎁", `note ${chance.between(1, 99)}`]),
  }),
  save_for_later: (chance, state) => ({
    kind: "save_for_later",
    line: lineOf(chance, chance.chance(0.9) ? state.lines : state.saved),
  }),
  move_to_cart: (chance, state) => ({
    kind: "move_to_cart",
    line: lineOf(chance, chance.chance(0.9) ? state.saved : state.lines),
  }),
  share(chance, _state, { owner, other }) {
    const user = chance.weighted({ other: 18, owner: 1, nobody: 1 });
    const id = { other: other.id, owner: owner.id, nobody: "usr_nobody" }[user];
    return { kind: "share", users: [{ user: id, role: chance.pick(["editor", "viewer"]) }] };
  },
  unshare: (chance, _state, { owner, other }) => ({
    kind: "unshare",
    user: chance.chance(0.9) ? other.id : owner.id,
  }),
};

function lineOf(chance, lines) {
  // Mostly the first: conflicts are wanted. Now and then one that isn't there.
  if (!lines.length || chance.chance(0.03)) return "lin_0_0";
  return (chance.chance(0.5) ? lines[0] : chance.pick(lines)).line;
}

function anyLineOf(chance, { lines, saved }) {
  return lineOf(chance, [...lines, ...saved]);
}
