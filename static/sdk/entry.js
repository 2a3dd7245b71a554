/**
 * One change of ours on its way, and what ties changes together: an op may be about a line that an
 * earlier one makes, whose id isn't known yet. Such a line is called `new:<op_id>:<item>`, `item`
 * counting the items of the add, until the add is answered.
 */

import { CartroomError } from "./errors.js";

const PROVISIONAL = /^new:(.+):(\d+)$/;

export function provisionalLine(opId, item) {
  return `new:${opId}:${item}`;
}

/** `{opId, item}` of a provisional line's id, or null for a real one. */
export function provisionalOf(line) {
  const found = typeof line === "string" ? PROVISIONAL.exec(line) : null;
  return found && { opId: found[1], item: Number(found[2]) };
}

export function noSuchLine() {
  return new CartroomError("not_found", "The line was not added, so it can't be changed.");
}

export class Entry {
  ledger;
  cart;
  op;
  /** Who made the change; null until somebody is known. */
  user;
  /** Facts of the products in it, so that it can be shown: `[{sku, name, unit_price, …}]`. */
  products;
  /** When it was made, in ms since the epoch. */
  at;
  /** Its number; null until the ledger is claimed. */
  n;
  /** Whether it may have reached the service: its content is fixed then. */
  sent;
  /** Sent by a closed tab, so the state that we have may hold it already. */
  doubtful = false;
  /** It is stored as it is to be sent. */
  safe = false;
  /** Settle the promise of who made the change; absent when nobody waits any more. */
  resolve = null;
  reject = null;

  constructor(ledger, { cart, op, user, products, at, n = null, sent = false }) {
    Object.assign(this, { ledger, cart, op, user, products, at, n, sent });
  }

  get opId() {
    return this.n === null ? null : `${this.ledger.client}:${this.n}`;
  }

  /** As it is stored. */
  get stored() {
    const { cart, n, op, user, at, products, sent } = this;
    return { cart, n, op, user, at, ...(products?.length ? { products } : {}), ...(sent ? { sent } : {}) };
  }

  /** The op_id of the add that makes the line which this is about, or null. */
  get waitsFor() {
    return provisionalOf(this.op.line)?.opId ?? null;
  }

  /** The id of the line that item number `item` of this add went to by its `effect`, or null. */
  lineOf(item, effect) {
    const asked = this.op.items?.[item];
    if (!asked || !effect.items) return null;
    const member = asked.for ?? this.user;
    const found = effect.items.find((each) => each.sku === asked.sku && each.for === member);
    return found?.line ?? null;
  }
}
