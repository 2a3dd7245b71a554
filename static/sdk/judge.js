/**
 * What an op as a client sends it would do to a cart: the service's own judgement, foretold.
 *
 * Pure, and on states as they are on the wire. The service judges again on the state that the op
 * commits on, with the stock of that moment; this is for showing at once what it will most likely
 * say.
 */

import { CartroomError } from "./errors.js";
import { checkShape } from "./shapes.js";

const RANKS = { viewer: 1, editor: 2, owner: 3 };
const OWNERS = new Set(["share", "unshare", "delete"]);
const NO_LIMITS = { lines: Infinity, members: Infinity, pieces: Infinity, items: Infinity };

/** Raised inside only: somebody else knows what would come of this op. */
class Unknowable extends Error {}

function memberOf(state, user) {
  return state.members.find((member) => member.user === user);
}

function checkAccess(state, op, user) {
  const role = memberOf(state, user)?.role;
  if (role === undefined || state.status === "deleted") {
    throw new CartroomError(
      "not_found",
      "There is no such cart, or you are not one of its members.",
    );
  }
  const leaves = op.kind === "unshare" && op.user === user;
  const needed = leaves ? "viewer" : OWNERS.has(op.kind) ? "owner" : "editor";
  if (RANKS[role] < RANKS[needed]) {
    throw new CartroomError("forbidden", `This needs the role ${needed}; yours is ${role}.`);
  }
}

function findLine(lines, id) {
  return lines.find((line) => line.line === id);
}

function findTwin(lines, { sku, for: member }) {
  return lines.find((line) => line.sku === sku && line.for === member);
}

function lineInCart(state, id) {
  const found = findLine(state.lines, id);
  if (found) return found;
  const where = findLine(state.saved, id) ? " It is saved for later." : "";
  throw new CartroomError("not_found", `There is no line ${id} in this cart.${where}`);
}

function lineAnywhere(state, id) {
  const found = findLine(state.lines, id) ?? findLine(state.saved, id);
  if (found) return found;
  throw new CartroomError("not_found", `There is no line ${id} in this cart.`);
}

function tooManyPieces(limits) {
  return new CartroomError("limit_exceeded", `A line holds 1 to ${limits.pieces} pieces.`);
}

/** A product whose stock isn't known is taken to be there. */
function checkStock(product, sku, pieces) {
  const { available = null, name } = product;
  if (available === null || pieces <= available) return;
  throw new CartroomError(
    "out_of_stock",
    `Only ${available} of ${name} can be had; the cart would hold ${pieces}.`,
    { sku, available },
  );
}

/** Refuse to raise `line` by `by` pieces where stock doesn't allow it. Lowering is free. */
function checkRaise(state, line, by, { products }) {
  if (by <= 0) return;
  const product = products.get(line.sku);
  if (product === undefined) return;
  if (product === null) {
    throw new CartroomError(
      "unknown_sku",
      `${line.name} is no longer sold; it can't be raised.`,
      { sku: line.sku },
    );
  }
  let pieces = by;
  for (const each of state.lines) if (each.sku === line.sku) pieces += each.qty;
  checkStock(product, line.sku, pieces);
}

/** Name, price and stock of what is added. */
function productOf(sku, state, products, known) {
  const product = products.get(sku);
  if (product === null) {
    throw new CartroomError("unknown_sku", `There is no product with the sku ${sku}.`, { sku });
  }
  if (product === undefined) {
    const line = known ?? state.saved.find((each) => each.sku === sku);
    if (!line) throw new Unknowable();
    return { name: line.name, unit_price: line.unit_price };
  }
  const { currency = state.currency } = product;
  if (currency !== state.currency) {
    throw new CartroomError(
      "unknown_sku",
      `${sku} is sold in ${currency}, this cart is in ${state.currency}.`,
      { sku, currency },
    );
  }
  return product;
}

/** Counts what the items of one `add` would make of the cart, without changing it. */
class AddTally {
  constructor(state, op, context) {
    Object.assign(this, { state, context });
    this.made = 0;
    /** Of each sku that is added: its pieces, a line that tells of it, its lines by member. */
    this.skus = new Map();
    for (const { sku } of op.items) this.skus.set(sku, { pieces: 0, lines: new Map() });
    for (const line of state.lines) {
      const found = this.skus.get(line.sku);
      if (!found) continue;
      found.pieces += line.qty;
      found.known ??= line;
      found.lines.set(line.for, { line: line.line, qty: line.qty });
    }
  }

  /** The item as it takes effect. */
  add({ sku, qty, for: named }) {
    const { state } = this;
    const { user, products, limits } = this.context;
    const member = named ?? user;
    if (!memberOf(state, member)) {
      throw new CartroomError("not_found", `${member} is no member of this cart.`);
    }
    const counted = this.skus.get(sku);
    const product = productOf(sku, state, products, counted.known);
    checkStock(product, sku, counted.pieces + qty);
    const before = counted.lines.get(member);
    if ((before?.qty ?? 0) + qty > limits.pieces) throw tooManyPieces(limits);
    const line = before?.line ?? this.newLine();
    counted.lines.set(member, { line, qty: (before?.qty ?? 0) + qty });
    counted.pieces += qty;
    const { name, unit_price } = product;
    return { sku, qty, for: member, line, name, unit_price };
  }

  newLine() {
    const { lines, saved } = this.state;
    const { limits, line } = this.context;
    if (lines.length + saved.length + this.made >= limits.lines) {
      throw new CartroomError("limit_exceeded", `A cart has at most ${limits.lines} lines.`);
    }
    this.made += 1;
    return line(this.made - 1);
  }
}

/** An error among the results of items. */
function asResult({ code, message, temporary, extra }) {
  return { code, message, temporary, ...extra };
}

function add(state, op, context) {
  if (op.items.length > context.limits.items) {
    throw new CartroomError(
      "limit_exceeded",
      `An add takes at most ${context.limits.items} items; split it.`,
    );
  }
  const tally = new AddTally(state, op, context);
  const results = [];
  const items = [];
  let first;
  for (const wanted of op.items) {
    try {
      const item = tally.add(wanted);
      items.push(item);
      results.push({ line: item.line, qty: item.qty });
    } catch (error) {
      if (!(error instanceof CartroomError)) throw error;
      first ??= error;
      results.push(asResult(error));
    }
  }
  if (first && !(items.length && op.partial)) {
    // Nothing is done, so the items that would have passed have no result either.
    const undone = results.map((result) => ("code" in result ? result : null));
    throw new CartroomError(first.code, first.message, { ...first.extra, results: undone });
  }
  return { effect: { kind: "add", items }, results };
}

function changeQuantity(state, { line: id, by }, context) {
  if (by === 0) throw new CartroomError("bad_request", "`by` must not be 0.");
  const line = lineInCart(state, id);
  const qty = line.qty + by;
  if (qty < 1 || qty > context.limits.pieces) throw tooManyPieces(context.limits);
  checkRaise(state, line, by, context);
  return { kind: "change_quantity", line: id, by };
}

function setQuantity(state, { line: id, qty }, context) {
  const line = lineInCart(state, id);
  if (qty > context.limits.pieces) throw tooManyPieces(context.limits);
  checkRaise(state, line, qty - line.qty, context);
  return { kind: "set_quantity", line: id, qty };
}

function remove(state, { line }) {
  lineAnywhere(state, line);
  return { kind: "remove", line };
}

function note(state, { line, text }) {
  if (line === undefined || line === null) return { kind: "note", text };
  lineAnywhere(state, line);
  return { kind: "note", line, text };
}

/** The effect of moving a line; `into` names the line that it is summed into. */
function move(kind, source, target, id, { limits }) {
  const line = findLine(source, id);
  const twin = line && findTwin(target, line);
  if (!twin) return { kind, line: id };
  if (line.qty + twin.qty > limits.pieces) throw tooManyPieces(limits);
  return { kind, line: id, into: twin.line };
}

function saveForLater(state, { line }, context) {
  lineAnywhere(state, line);
  return move("save_for_later", state.lines, state.saved, line, context);
}

function moveToCart(state, { line: id }, context) {
  const line = lineAnywhere(state, id);
  if (findLine(state.saved, id)) checkRaise(state, line, line.qty, context);
  return move("move_to_cart", state.saved, state.lines, id, context);
}

function nameOf(state, user, users) {
  const name = users.has(user) ? users.get(user) : memberOf(state, user)?.name;
  if (name === undefined) throw new Unknowable();
  if (name !== null) return name;
  throw new CartroomError("not_found", `There is no user ${user}.`, { user });
}

function share(state, op, { users, limits }) {
  const named = new Set(op.users.map(({ user }) => user));
  if (named.size !== op.users.length) {
    throw new CartroomError("bad_request", "Name each user once.");
  }
  if (op.users.length > limits.items) {
    throw new CartroomError(
      "limit_exceeded",
      `A share takes at most ${limits.items} users; split it.`,
    );
  }
  const grants = op.users.map(({ user, role }) => {
    const name = nameOf(state, user, users);
    if (memberOf(state, user)?.role === "owner") {
      throw new CartroomError("forbidden", "The owner's role can't be changed.");
    }
    return { user, role, name };
  });
  const others = state.members.filter((member) => !named.has(member.user));
  if (others.length + named.size > limits.members) {
    throw new CartroomError("limit_exceeded", `A cart has at most ${limits.members} members.`);
  }
  return { kind: "share", users: grants };
}

function unshare(state, { user }) {
  const member = memberOf(state, user);
  if (!member) {
    throw new CartroomError("not_found", `${user} is no member of this cart.`, { user });
  }
  if (member.role === "owner") {
    throw new CartroomError("forbidden", "The owner can't leave the cart, only delete it.");
  }
  return { kind: "unshare", user };
}

/** `add` alone has results beside its effect. */
const EFFECTS = {
  change_quantity: changeQuantity,
  set_quantity: setQuantity,
  remove,
  clear: () => ({ kind: "clear" }),
  rename: (_state, { name }) => ({ kind: "rename", name }),
  note,
  save_for_later: saveForLater,
  move_to_cart: moveToCart,
  share,
  unshare,
  delete: () => ({ kind: "delete" }),
};

/**
 * What `op` by `user` does to `state`: `{effect, results}`, the effect as `applyOp` takes it.
 *
 * - `products`: a Map from sku to `{name, unit_price, currency?, available?}`, or to null where
 *   there is known to be no such product. What isn't told of a product doesn't refuse the op.
 * - `users`: a Map from user id to name, or to null of who is known not to exist.
 * - `limits`: those of `welcome`; `line(index)` gives the id of the index-th new line.
 *
 * `results` is null but for an `add`. Raises the CartroomError that the service would answer.
 * Returns null where only the service knows: an `add` of a product that neither `products` nor a
 * line of the cart tells of, and a `share` with somebody who is neither in `users` nor a member.
 */
export function judge(state, op, { user, products, users, limits, line }) {
  checkShape(op);
  checkAccess(state, op, user);
  const context = {
    user,
    products: products ?? new Map(),
    users: users ?? new Map(),
    limits: { ...NO_LIMITS, ...limits },
    line: line ?? ((index) => `new:${index}`),
  };
  try {
    if (op.kind === "add") return add(state, op, context);
    return { effect: EFFECTS[op.kind](state, op, context), results: null };
  } catch (error) {
    if (error instanceof Unknowable) return null;
    throw error;
  }
}
