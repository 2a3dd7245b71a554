/**
 * One cart, followed live: its state, who is here, and our changes on their way to it.
 *
 * Ops are applied in the order of their revs, each once, whether they come as our own `ok`, as a
 * push, or on joining again; a gap that isn't filled soon, or an op that doesn't fit, is healed by
 * joining again. Our ops go out one at a time: an op keeps its op_id until it is answered for
 * good, over lost connections and temporary refusals, so the order is kept and nothing counts
 * twice.
 *
 * Events: `change` (anything to draw anew), `op` ({rev, by, at, op, own, before, live}; `live` is
 * false for what came while we were away), `state` (a whole state took the place of what we had),
 * `gone` (reason), `failed` (an error).
 */

import { Emitter } from "./emitter.js";
import { CartroomError } from "./errors.js";
import { applyOp, OutOfStep } from "./reducer.js";

/** Changes of ours that wait for an answer. */
export const OUTBOX_MAX = 500;
/** Ops held until the revs before them arrive. */
const EARLY_MAX = 1_000;
const GAP_PATIENCE_MS = 2_000;
const RETRY_BASE_MS = 300;
const RETRY_MAX_MS = 10_000;

function presenceKey({ user, client }) {
  return `${user} ${client}`;
}

export class Room extends Emitter {
  cart;
  /** The cart's state as in the wire contract, or null before the first join. */
  state = null;
  rev = 0;
  role = null;
  /** Who is here: `{user, client, data}` by user and client. */
  presence = new Map();
  /** opening | live | away | gone | failed */
  status = "opening";
  /** Why it is `gone`, or the error it `failed` with. */
  reason = null;

  #connection;
  #identity;
  #lastN = 0;
  #outbox = [];
  #sending = false;
  /** Told to try again later: nothing is sent until then. */
  #resting = false;
  #joining = false;
  #early = new Map();
  #gapTimer = null;
  #retryTimer = null;
  #retries = 0;
  #presenceData = null;

  constructor(cart, connection, identity) {
    super();
    this.cart = cart;
    this.#connection = connection;
    this.#identity = identity;
  }

  /** Our ops that are not settled yet, oldest first. */
  get pending() {
    return this.#outbox.map((entry) => entry.op);
  }

  get closed() {
    return this.status === "gone" || this.status === "failed";
  }

  /**
   * Change the cart. Resolves with the `ok` ({rev, at, op, results?}) however long it takes to
   * reach the service; rejects with its final refusal.
   */
  op(op) {
    if (this.closed) return Promise.reject(this.#goneError());
    if (this.#outbox.length >= OUTBOX_MAX) {
      const message = "Too many changes are waiting to be sent.";
      return Promise.reject(new CartroomError("limit_exceeded", message));
    }
    return new Promise((resolve, reject) => {
      this.#outbox.push({ op, opId: null, resolve, reject });
      this.emit("change");
      this.#pump();
    });
  }

  /** Tell the others what we look at; kept and told again after a reconnect. */
  setPresence(data) {
    if (JSON.stringify(data) === JSON.stringify(this.#presenceData)) return;
    this.#presenceData = data;
    this.#sendPresence();
  }

  /** One page of history, ascending, ending below `before`: `{ops, more}`. */
  history({ before, limit = 50 } = {}) {
    const fields = { cart: this.cart, limit, ...(before ? { before } : {}) };
    return this.#connection.request("cart.history", fields);
  }

  /** Join, or join again. `afresh` asks for a whole state instead of what we missed. */
  async join(afresh = false) {
    if (this.#joining || this.closed || this.#connection.status !== "live") return;
    this.#joining = true;
    clearTimeout(this.#retryTimer);
    try {
      const resume = this.state && !afresh ? { rev: this.rev } : {};
      const reply = await this.#connection.request("cart.join", { cart: this.cart, ...resume });
      this.#joining = false;
      this.#joined(reply);
    } catch (error) {
      this.#joining = false;
      this.#joinFailed(error);
    }
  }

  /** Stop following. Changes that still wait are given up. */
  leave() {
    if (this.closed) return;
    this.#end("gone", "left");
    this.#connection.request("cart.leave", { cart: this.cart }).catch((error) => {
      if (error.code !== "disconnected") console.warn("Leaving the room was refused", error);
    });
  }

  /** The connection was lost. */
  away() {
    if (this.closed) return;
    clearTimeout(this.#gapTimer);
    clearTimeout(this.#retryTimer);
    this.#early.clear();
    this.presence.clear();
    this.status = this.state ? "away" : "opening";
    this.emit("change");
  }

  /** A push for this cart. */
  receive(push) {
    if (this.closed) return;
    const handlers = {
      "cart.ops": () => push.ops.forEach((entry) => this.#arrived(entry)),
      "cart.state": () => this.#replaced(push),
      "cart.gone": () => this.#end("gone", push.reason),
      "presence.state": () => this.#setMembers(push.members),
      "presence.diff": () => this.#changeMembers(push),
    };
    handlers[push.type]?.();
    this.emit("change");
  }

  #joined(reply) {
    this.#retries = 0;
    this.#resting = false;
    this.#lastN = Math.max(this.#lastN, reply.n ?? 0);
    this.role = reply.role;
    this.status = "live";
    if (reply.state) {
      this.#begin(reply);
    } else {
      const missed = reply.ops.filter((entry) => entry.rev > this.rev);
      for (const entry of missed) this.#early.set(entry.rev, { ...entry, live: false });
    }
    this.#applyInOrder();
    this.#sendPresence();
    this.emit("change");
    this.#pump();
  }

  #joinFailed(error) {
    if (error.code === "disconnected") return; // `away` follows, then a new join.
    if (error.temporary) {
      this.#retryTimer = setTimeout(() => this.join(), this.#retryDelay(error));
    } else if (error.code === "not_found") {
      this.#end("gone", "not_found");
    } else {
      this.#end("failed", error);
    }
  }

  #replaced(push) {
    this.role = push.role;
    this.#lastN = Math.max(this.#lastN, push.n ?? 0);
    this.#begin(push);
    this.#applyInOrder();
  }

  #begin({ state, rev }) {
    this.state = state;
    this.rev = rev;
    this.emit("state");
  }

  /** An op that took effect, `{rev, op_id?, by, at, op}`, in whatever order. */
  #arrived(entry) {
    if (!this.state || entry.rev > this.rev) this.#early.set(entry.rev, { live: true, ...entry });
    if (this.#early.size > EARLY_MAX) {
      this.#early.clear();
      this.join();
    } else if (!this.#joining) {
      this.#applyInOrder();
    }
  }

  #applyInOrder() {
    clearTimeout(this.#gapTimer);
    for (const rev of this.#early.keys()) if (rev <= this.rev) this.#early.delete(rev);
    try {
      while (this.#early.has(this.rev + 1)) this.#apply(this.#early.get(this.rev + 1));
    } catch (error) {
      if (!(error instanceof OutOfStep)) throw error;
      console.warn(`The cart is fetched afresh: ${error.message}`);
      this.#early.clear();
      this.join(true);
      return;
    }
    if (this.#early.size) this.#gapTimer = setTimeout(() => this.join(), GAP_PATIENCE_MS);
  }

  #apply(entry) {
    const before = this.state;
    this.state = applyOp(before, entry.op);
    this.rev = entry.rev;
    this.#early.delete(entry.rev);
    this.role = this.state.members.find((member) => member.user === this.#user)?.role ?? this.role;
    const ours = entry.op_id?.startsWith(`${this.#identity.client}:`) ?? false;
    this.emit("op", { ...entry, own: ours, before });
  }

  async #pump() {
    if (this.#sending || this.#resting || this.status !== "live" || !this.#outbox.length) return;
    this.#sending = true;
    const entry = this.#outbox[0];
    entry.opId ??= `${this.#identity.client}:${this.#identity.numbers.next(this.#lastN)}`;
    try {
      const fields = { cart: this.cart, op_id: entry.opId, op: entry.op };
      const reply = await this.#connection.request("cart.op", fields);
      this.#sending = false;
      this.#settle(entry, reply);
    } catch (error) {
      this.#sending = false;
      this.#refused(entry, error);
    }
  }

  #settle(entry, reply) {
    this.#retries = 0;
    this.#outbox.shift();
    if (!this.closed) {
      const { rev, at, op } = reply;
      this.#arrived({ rev, op_id: entry.opId, by: this.#user, at, op });
    }
    entry.resolve(reply);
    this.emit("change");
    this.#pump();
  }

  #refused(entry, error) {
    if (this.closed) return; // Answered when the room ended.
    if (error.code === "disconnected") return; // Sent again under the same op_id once we are back.
    if (error.temporary) {
      this.#resting = true;
      this.#retryTimer = setTimeout(() => {
        this.#resting = false;
        this.#pump();
      }, this.#retryDelay(error));
      return;
    }
    this.#retries = 0;
    this.#outbox.shift();
    entry.reject(error);
    this.emit("change");
    this.#pump();
  }

  #retryDelay(error) {
    const ceiling = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** this.#retries);
    this.#retries = Math.min(this.#retries + 1, 10);
    return 1000 * (error.extra.retry_after_s ?? 0) + ceiling * (0.5 + Math.random() / 2);
  }

  #sendPresence() {
    if (this.status !== "live" || this.#presenceData === null) return;
    const fields = { cart: this.cart, data: this.#presenceData };
    this.#connection.request("presence.set", fields).catch((error) => {
      // It is told again on the next change or join; nothing depends on it.
      if (!error.temporary) console.warn("Presence was refused", error);
    });
  }

  #setMembers(members) {
    this.presence = new Map(members.map((member) => [presenceKey(member), member]));
  }

  #changeMembers({ joined = [], left = [], changed = [] }) {
    for (const member of [...joined, ...changed]) this.presence.set(presenceKey(member), member);
    for (const member of left) this.presence.delete(presenceKey(member));
  }

  /** Our own user id; the connection has been live, or we would have nothing to do. */
  get #user() {
    return this.#connection.welcome.user.id;
  }

  #goneError() {
    if (this.status === "failed") return this.reason;
    return new CartroomError("not_found", "This cart is no longer open to you.");
  }

  #end(status, reason) {
    this.status = status;
    this.reason = reason;
    clearTimeout(this.#gapTimer);
    clearTimeout(this.#retryTimer);
    const waiting = this.#outbox.splice(0);
    this.emit(status, reason);
    this.emit("change");
    for (const entry of waiting) entry.reject(this.#goneError());
  }
}
