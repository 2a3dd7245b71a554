/**
 * One cart, followed live: its state, who is here, and our changes on their way to it.
 *
 * `committed` is the cart as the service has it: ops are applied in the order of their revs, each
 * once, whether they come as our own `ok`, as a push, or on joining again; a gap that isn't filled
 * soon, or an op that doesn't fit, is healed by joining again. `state` is what to show: committed,
 * and on top of it what waits in the outbox. A change that is refused is simply gone from it.
 *
 * Events: `change` (anything to draw anew), `op` ({rev, by, at, op, op_id, own, live, before};
 * `live` is false for what came while we were away, `before` is what was committed), `state` (a
 * whole state took the place of what we had), `gone` (reason), `failed` (an error), `rejected`
 * ({cart, op, op_id, error}: a change that nobody waits for any more was refused).
 */

import { Emitter } from "./emitter.js";
import { CartroomError } from "./errors.js";
import { Presence } from "./presence.js";
import { applyOp, OutOfStep } from "./reducer.js";
import { View } from "./view.js";

/** Ops held until the revs before them arrive. */
const EARLY_MAX = 1_000;
/** A snapshot older than this is shown until the cart is joined, which then asks for a state. */
const RESUMED_MAX_MS = 600_000;
const RETRIES_MAX = 10;

export class Room extends Emitter {
  cart;
  /** The cart as committed, on the wire's form; null before the first join and without a snapshot. */
  committed = null;
  rev = 0;
  role = null;
  /** opening | live | away | gone | failed */
  status = "opening";
  /** Why it is `gone`, or the error it `failed` with. */
  reason = null;

  #world;
  #here;
  #view;
  #joining = false;
  #kept = null;
  #outdated = false;
  #early = new Map();
  #gapTimer = null;
  #retryTimer = null;
  #retries = 0;
  /** The rev of a whole state that came while we join, or null. */
  #overtaken = null;

  /**
   * `world` is what rooms share: `{connection, outbox, sender, snapshots, joined, timings, random}`;
   * `joined(room)` is called whenever one has been joined.
   */
  constructor(cart, world) {
    super();
    this.cart = cart;
    this.#world = world;
    this.#here = new Presence(cart, world.connection);
    this.#view = new View(cart, world.outbox);
  }

  /** What to show: what is committed, and our waiting changes as they will most likely be. */
  get state() {
    return this.#shown.state;
  }

  /** Who is here: `{user, client, data}` by user and client. */
  get presence() {
    return this.#here.members;
  }

  /** Our changes that wait here, `[{op_id, op}]`, the oldest first. */
  get pending() {
    const entries = this.closed ? [] : this.#world.outbox.entries(this.cart);
    return entries.map(({ opId, op }) => ({ op_id: opId, op }));
  }

  get closed() {
    return this.status === "gone" || this.status === "failed";
  }

  /** Whether changes of ours wait that are about this line. */
  isPending(line) {
    return this.#shown.touched.has(line);
  }

  /** A key of a line that stays the same when a line foretold gets its id. */
  keyOf(line) {
    return this.#view.keyOf(line);
  }

  /**
   * Change the cart. It shows in `state` at once if it can be foretold: for an `add`, give the facts
   * of its products, `[{sku, name, unit_price, currency?, available?}]`. Resolves with the `ok`
   * ({rev, at, op, results?}) however long it takes to reach the service; rejects with its final
   * refusal.
   */
  op(op, { products } = {}) {
    if (this.closed) return Promise.reject(this.#goneError());
    const { outbox, sender } = this.#world;
    const asked = "line" in op ? { ...op, line: this.#view.lineOf(op.line) } : op;
    return new Promise((resolve, reject) => {
      outbox.add({ cart: this.cart, op: asked, products }, { resolve, reject });
      sender.wake();
    });
  }

  /** Tell the others what we look at; kept and told again after a reconnect. */
  setPresence(data) {
    this.#here.set(data, this.status === "live");
  }

  /** One page of history, ascending, ending below `before`: `{ops, more}`. */
  history({ before, limit = 50 } = {}) {
    const fields = { cart: this.cart, limit, ...(before ? { before } : {}) };
    return this.#world.connection.request("cart.history", fields);
  }

  /** Stop following. What still waits is sent all the same. */
  leave() {
    if (this.closed) return;
    this.#world.snapshots.flush();
    this.#end("gone", "left");
    this.#tellLeaving();
  }

  /** Stop following until the next `join`, unless changes of ours wait. */
  rest() {
    if (this.status !== "live" || this.#joining || this.pending.length) return;
    this.#tellLeaving();
    this.away();
  }

  #tellLeaving() {
    this.#world.connection.request("cart.leave", { cart: this.cart }).catch((error) => {
      if (error.code !== "disconnected") console.warn("Leaving the room was refused", error);
    });
  }

  /** Show what was kept of the cart until it is joined. */
  async open() {
    await this.#world.outbox.opened;
    await this.#loadKept();
  }

  /** Join, or join again. `afresh` asks for a whole state instead of what we missed. */
  async join(afresh = false) {
    const { connection } = this.#world;
    if (this.#joining || this.closed || connection.status !== "live") return;
    this.#joining = true;
    this.#overtaken = null;
    clearTimeout(this.#retryTimer);
    try {
      await this.#loadKept();
      const resumes = this.committed && !afresh && !this.#outdated;
      const resume = resumes ? { rev: this.rev } : {};
      const reply = await connection.paced("cart.join", { cart: this.cart, ...resume });
      this.#joining = false;
      if (!this.closed) this.#joined(reply);
    } catch (error) {
      this.#joining = false;
      if (!this.closed) this.#joinFailed(error);
    }
  }

  /** The connection was lost. */
  away() {
    if (this.closed) return;
    clearTimeout(this.#gapTimer);
    clearTimeout(this.#retryTimer);
    this.#early.clear();
    this.#here.members.clear();
    this.status = this.committed ? "away" : "opening";
    this.emit("change");
  }

  /** Somebody else is signed in: what we have isn't theirs. */
  reset() {
    if (this.closed) return;
    Object.assign(this, { committed: null, rev: 0, role: null, status: "opening" });
    this.#early.clear();
    this.#view.reset();
    this.emit("change");
  }

  /** What waits in the outbox has changed. */
  refresh() {
    if (this.closed) return;
    this.#view.renew();
    this.emit("change");
  }

  /** A push for this cart. */
  receive(push) {
    if (this.closed) return;
    const handlers = {
      "cart.ops": () => push.ops.forEach((entry) => this.#arrived(entry)),
      "cart.state": () => this.#replaced(push),
      "cart.gone": () => this.#removed(push.reason),
      "presence.state": () => this.#here.replace(push.members),
      "presence.diff": () => this.#here.change(push),
    };
    handlers[push.type]?.();
    this.emit("change");
  }

  /** A change of ours, `entry` of the outbox, took effect. */
  confirm(entry, { rev, at, op }) {
    if (this.closed) return;
    this.#arrived({ rev, op_id: entry.opId, by: entry.user, at, op });
    if (rev > this.rev) this.#view.answered(entry, { rev, op });
  }

  get #shown() {
    const { welcome } = this.#world.connection;
    return this.#view.of(this.committed, this.rev, welcome?.limits);
  }

  async #loadKept() {
    const { outbox, snapshots } = this.#world;
    const user = outbox.user?.id;
    if (!user) return;
    if (this.#kept?.user !== user) {
      this.#kept = { user, loading: snapshots.load(user, this.cart) };
    }
    const kept = await this.#kept.loading;
    if (!kept || this.committed || this.closed || outbox.user.id !== user) return;
    Object.assign(this, { committed: kept.state, rev: kept.rev, role: kept.role });
    this.#view.reset(kept.recent);
    this.#outdated = Date.now() - kept.at > RESUMED_MAX_MS;
    this.emit("change");
  }

  #joined(reply) {
    this.#retries = 0;
    this.#view.numbered(reply.n);
    this.status = "live";
    this.#outdated = false;
    // Where frames come together, what was pushed after a reply is taken in before it.
    const isOld = this.#overtaken !== null && reply.rev < this.#overtaken;
    if (!isOld) this.role = reply.role;
    if (reply.state) {
      if (!isOld) this.#begin(reply);
    } else {
      const missed = reply.ops.filter((entry) => entry.rev > this.rev);
      for (const entry of missed) this.#early.set(entry.rev, { ...entry, live: false });
    }
    this.#applyInOrder();
    this.#here.tell();
    this.refresh();
    this.#world.sender.wake();
    this.#world.joined(this);
  }

  #joinFailed(error) {
    if (error.code === "disconnected") return; // `away` follows, then a new join.
    if (error.temporary) this.#joinLater(error);
    else if (error.code === "not_found") this.#removed("not_found");
    else this.#end("failed", error);
  }

  #joinLater(error) {
    const { timings, random } = this.#world;
    const ceiling = Math.min(timings.retry_max_ms, timings.retry_base_ms * 2 ** this.#retries);
    this.#retries = Math.min(this.#retries + 1, RETRIES_MAX);
    const waitMs = 1000 * (error?.extra.retry_after_s ?? 0) + ceiling * random();
    this.#retryTimer = setTimeout(() => this.join(), waitMs);
  }

  #replaced(push) {
    if (this.#joining) this.#overtaken = push.rev;
    this.role = push.role;
    this.#view.numbered(push.n);
    this.#begin(push);
    this.#applyInOrder();
  }

  #begin({ state, rev }) {
    this.#commit(state, rev);
    this.emit("state");
  }

  #commit(state, rev) {
    this.committed = state;
    this.rev = rev;
    this.#view.renew();
    this.#world.snapshots.keepSoon(this);
  }

  /** What is kept of the cart over the end of the page, or null. */
  get snapshot() {
    const { cart, rev, role, committed: state } = this;
    const user = this.#world.outbox.user?.id;
    if (!state || !user) return null;
    return { user, cart, rev, role, state, recent: this.#view.recent, at: Date.now() };
  }

  /** An op that took effect, `{rev, op_id?, by, at, op}`, in whatever order. */
  #arrived(entry) {
    if (!this.committed || entry.rev > this.rev) {
      this.#early.set(entry.rev, { live: true, ...entry });
    }
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
    if (this.#early.size) {
      const patience = this.#world.timings.gap_patience_ms;
      this.#gapTimer = setTimeout(() => this.join(), patience);
    }
  }

  #apply(entry) {
    const { outbox } = this.#world;
    const before = this.committed;
    const after = applyOp(before, entry.op);
    this.#early.delete(entry.rev);
    const ours = this.#view.applied(entry.op_id, entry.op, before);
    const me = after.members.find((member) => member.user === outbox.user.id);
    this.role = me?.role ?? this.role;
    this.#commit(after, entry.rev);
    const own = ours || (entry.op_id?.startsWith(`${outbox.client}:`) ?? false);
    this.emit("op", { ...entry, own, before });
  }

  /** The service has ended our stay. */
  #removed(reason) {
    if (reason === "unavailable") {
      this.away();
      this.#joinLater();
      return;
    }
    const { outbox, snapshots } = this.#world;
    if (outbox.user) snapshots.remove(outbox.user.id, this);
    this.#end("gone", reason);
    outbox.refuseCart(this.cart, this.#goneError());
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
    this.emit(status, reason);
    this.emit("change");
  }
}
