/**
 * Sends what waits in the outbox. Of each record and cart one op is on its way at a time, in the
 * order of their numbers, under its op_id until it has a final answer: the order is kept, and
 * nothing counts twice. Different carts and records don't wait for each other.
 */

import { noSuchLine } from "./entry.js";

/** Doublings of the pause after temporary refusals. */
const RETRIES_MAX = 10;

export class Sender {
  #connection;
  #outbox;
  #roomOf;
  #timings;
  #random;
  /** By record, by cart: `{busy, again, resting, retries}`. */
  #lanes = new Map();

  /** `roomOf(cart)`: the room that is open here, if there is one. */
  constructor({ connection, outbox, roomOf, timings, random }) {
    this.#connection = connection;
    this.#outbox = outbox;
    this.#roomOf = roomOf;
    this.#timings = timings;
    this.#random = random;
  }

  /** Something may be sent that couldn't be before. */
  wake() {
    if (this.#connection.status !== "live") return;
    for (const { ledger, cart } of this.#outbox.heads()) this.#drive(this.#lane(ledger, cart));
  }

  /** A new connection, or none: pauses and what they were for are over. */
  reset() {
    for (const carts of this.#lanes.values()) {
      for (const lane of carts.values()) clearTimeout(lane.resting);
    }
    this.#lanes.clear();
  }

  #lane(ledger, cart) {
    if (!this.#lanes.has(ledger)) this.#lanes.set(ledger, new Map());
    const carts = this.#lanes.get(ledger);
    if (!carts.has(cart)) {
      carts.set(cart, { ledger, cart, busy: false, again: false, resting: null, retries: 0 });
    }
    return carts.get(cart);
  }

  async #drive(lane) {
    lane.again = true;
    if (lane.busy) return;
    lane.busy = true;
    while (lane.again) {
      lane.again = false;
      while (!lane.resting && this.#isCurrent(lane) && (await this.#step(lane)));
    }
    lane.busy = false;
    if (!lane.resting && this.#isCurrent(lane)) this.#lanes.get(lane.ledger).delete(lane.cart);
  }

  #isCurrent(lane) {
    return this.#lanes.get(lane.ledger)?.get(lane.cart) === lane;
  }

  /** A room that is open here joins first, so that it knows what its state holds. */
  #isReady(cart) {
    const { status, welcome } = this.#connection;
    if (status !== "live" || welcome.user.id !== this.#outbox.user?.id) return false;
    const room = this.#roomOf(cart);
    return !room || room.closed || room.status === "live";
  }

  /** Deal with the first change of a lane; whether to go on with the next. */
  async #step(lane) {
    const entry = this.#outbox.head(lane.ledger, lane.cart);
    if (!entry || !this.#isReady(lane.cart)) return false;
    if (entry.waitsFor) {
      // Its line comes from another record of ours, or from nowhere.
      if (this.#outbox.find(lane.cart, entry.waitsFor)) return false;
      this.#outbox.refuse(entry, noSuchLine());
      return true;
    }
    if (!entry.safe) {
      await this.#outbox.commit(entry);
      return true; // Look again: much may have happened meanwhile.
    }
    const { cart, opId, op } = entry;
    let reply;
    try {
      reply = await this.#connection.paced("cart.op", { cart, op_id: opId, op });
    } catch (error) {
      return this.#refused(lane, entry, error);
    }
    lane.retries = 0;
    this.#settle(entry, reply);
    return true;
  }

  #settle(entry, reply) {
    // Also of what was thrown away meanwhile: it took effect, and nobody else tells us.
    this.#roomOf(entry.cart)?.confirm(entry, reply);
    this.#outbox.settle(entry, reply.op);
    entry.resolve?.(reply);
  }

  #refused(lane, entry, error) {
    // Lost: sent again under its op_id once we are back. Signed out: once they have signed in.
    if (error.code === "disconnected" || error.code === "unauthorized") return false;
    if (error.temporary) {
      this.#rest(lane, error);
      return false;
    }
    lane.retries = 0;
    this.#outbox.refuse(entry, error);
    return true;
  }

  #rest(lane, error) {
    const { retry_base_ms, retry_max_ms } = this.#timings;
    const ceiling = Math.min(retry_max_ms, retry_base_ms * 2 ** lane.retries);
    lane.retries = Math.min(lane.retries + 1, RETRIES_MAX);
    const waitMs = 1000 * (error.extra?.retry_after_s ?? 0) + ceiling * this.#random();
    lane.resting = setTimeout(() => {
      lane.resting = null;
      this.#drive(lane);
    }, waitMs);
  }
}
