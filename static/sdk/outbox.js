/**
 * Our changes that have no final answer yet, in all carts, and over the end of the page: what was
 * made in this tab, and what closed tabs of the same user have left behind. A change is stored with
 * its number before it may be sent, and leaves when it is settled.
 *
 * Events: `change` (a cart: something waits there that didn't, or the other way round),
 * `rejected` ({cart, op, op_id, error}: a change that nobody waits for any more was refused).
 */

import { Emitter } from "./emitter.js";
import { Entry, noSuchLine, provisionalOf } from "./entry.js";
import { CartroomError } from "./errors.js";
import { Ledger } from "./ledger.js";

/** Changes of a tab that wait for an answer. */
export const OUTBOX_MAX = 500;
/** Changes that could not be sent for so long are given up. */
const OLD_MS = 30 * 24 * 3_600_000;

export class Outbox extends Emitter {
  /** Who we are: `{id, name}` of the last welcome, or of the store; null if nobody was here. */
  user = null;
  /** Resolves once our record is claimed. */
  opened;

  #keeper;
  #own;
  #adopted = [];
  #open = null;
  #isOpen = false;
  #adopting = false;

  constructor(keeper, user = null) {
    super();
    this.#keeper = keeper;
    this.user = user;
    this.#own = this.#ledger();
    this.#closed();
  }

  /** Our UUID; null before the first claim. */
  get client() {
    return this.#own.client;
  }

  /** How many changes of this user wait. */
  get count() {
    let count = 0;
    for (const ledger of this.#ledgers) {
      for (const entry of ledger.entries) if (this.#isOurs(entry)) count += 1;
    }
    return count;
  }

  /** Claim a record. What it holds waits from now on, and what waited has a number. */
  async open() {
    const claimed = await this.#keeper.claim();
    // Without a store, who we were is known here alone.
    const record = !this.#keeper.durable && this.client ? this.#own.record : claimed;
    this.user ??= await this.#keeper.lastUser();
    const lost = this.#own.claim(record);
    this.#isOpen = true;
    if (this.#own.entries.length) this.#own.save();
    for (const entry of lost) entry.reject?.(takenOver());
    this.#expire(this.#own);
    this.#changed(this.#own.entries);
    this.#open();
  }

  /** Store everything and let go of all records; what waits here stays until `open` again. */
  async close() {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#own.isHeld = false;
    this.#closed();
    const adopted = this.#adopted.splice(0);
    await Promise.all([this.#own, ...adopted].map((ledger) => this.#letGo(ledger)));
    for (const { entries } of adopted) this.#changed(entries);
  }

  /** Who the service says we are; whether that is somebody else than before. */
  welcomed(user) {
    const before = this.user?.id;
    this.user = user;
    const nameless = this.#own.entries.filter((entry) => entry.user === null);
    for (const entry of nameless) entry.user = user.id;
    if (nameless.length) this.#own.save();
    this.#keeper.remember(user);
    if (before !== undefined && before !== user.id) {
      for (const ledger of this.#adopted.splice(0)) this.#letGo(ledger);
      this.#changed(this.#own.entries);
    }
    return before !== undefined && before !== user.id;
  }

  /** Put a change in, on its way to the store. Raises `limit_exceeded` when there are too many. */
  add({ cart, op, products }, { resolve, reject }) {
    if (this.#own.entries.length >= OUTBOX_MAX) {
      throw new CartroomError("limit_exceeded", "Too many changes are waiting to be sent.");
    }
    // As it goes over the wire: what the caller changes later is another op.
    const fields = JSON.parse(JSON.stringify({ op, products }));
    const user = this.user?.id ?? null;
    const entry = new Entry(this.#own, { cart, user, at: Date.now(), ...fields });
    Object.assign(entry, { resolve, reject });
    this.#own.append(entry);
    if (this.#isOpen) this.#own.save();
    this.emit("change", cart);
  }

  /** What waits in a cart, of this user, the oldest first. */
  entries(cart) {
    const found = [];
    for (const ledger of this.#ledgers) {
      for (const entry of ledger.entries) {
        if (entry.cart === cart && this.#isOurs(entry)) found.push(entry);
      }
    }
    return found;
  }

  /** The first change that waits of each record and cart; only these may be sent. */
  heads() {
    const heads = [];
    for (const ledger of this.#isOpen ? this.#ledgers : []) {
      const carts = new Set();
      for (const entry of ledger.entries) {
        if (!this.#isOurs(entry) || carts.has(entry.cart)) continue;
        carts.add(entry.cart);
        heads.push(entry);
      }
    }
    return heads;
  }

  /** The first change that waits of one record and cart, or null. */
  head(ledger, cart) {
    if (!this.#isOpen || !this.#ledgers.includes(ledger)) return null;
    const ours = (entry) => entry.cart === cart && this.#isOurs(entry);
    return ledger.entries.find(ours) ?? null;
  }

  /** What waits in a cart under an op_id, or null. */
  find(cart, opId) {
    if (opId === null) return null;
    return this.entries(cart).find((entry) => entry.opId === opId) ?? null;
  }

  /** Resolves once `entry` is stored, marked as one that may have reached the service. */
  async commit(entry) {
    entry.sent = true;
    await entry.ledger.save();
    entry.safe = true;
  }

  /** It took effect: `effect` is the op as it did. Those that wait for its lines learn their ids. */
  settle(entry, effect) {
    if (!entry.ledger.remove(entry)) return;
    const [missing, others] = [[], new Set()];
    for (const each of this.#waitingFor(entry)) {
      const line = entry.lineOf(provisionalOf(each.op.line).item, effect);
      if (line === null) {
        missing.push(each);
        continue;
      }
      each.op = { ...each.op, line };
      if (each.ledger !== entry.ledger) others.add(each.ledger);
    }
    this.#storeAfter(others, entry.ledger);
    for (const each of missing) this.refuse(each, noSuchLine());
    this.emit("change", entry.cart);
  }

  /** It was refused for good; so are those about a line that it would have made. */
  refuse(entry, error) {
    if (!entry.ledger.remove(entry)) return;
    const dependent = this.#waitingFor(entry);
    const stored = this.#store(entry.ledger);
    for (const each of dependent) this.refuse(each, noSuchLine());
    const { cart, op, opId: op_id } = entry;
    const tell = () => {
      if (entry.reject) entry.reject(error);
      else this.emit("rejected", { cart, op, op_id, error });
    };
    // The service stands by a refusal of its own. Ours is one when nobody can find the change any
    // more: who comes after us would send it.
    if (entry.sent) tell();
    else Promise.resolve(stored).then(tell);
    this.emit("change", cart);
  }

  /** Refuse what waits in a cart that is gone; what may have reached the service is answered there. */
  refuseCart(cart, error) {
    for (const entry of this.entries(cart)) if (!entry.sent) this.refuse(entry, error);
  }

  /** Take over what closed tabs of this user, or of nobody yet, have left behind. */
  async adopt() {
    const user = this.user?.id;
    if (!user || !this.#isOpen || this.#adopting) return;
    this.#adopting = true;
    try {
      for (const record of await this.#keeper.adopt(user)) {
        if (this.#isOpen && this.user?.id === user) this.#take(record);
        else this.#keeper.release(record.client);
      }
    } finally {
      this.#adopting = false;
    }
  }

  /** Throw this user's changes and snapshots away. */
  async discard() {
    const user = this.user?.id;
    const thrown = [];
    for (const ledger of this.#ledgers) {
      thrown.push(...ledger.entries.filter((entry) => this.#isOurs(entry)));
    }
    for (const entry of thrown) entry.ledger.remove(entry);
    const text = "The change was thrown away before it was sent.";
    for (const entry of thrown) entry.reject?.(new CartroomError("discarded", text));
    this.#changed(thrown);
    const saved = this.#isOpen ? this.#ledgers.map((ledger) => this.#store(ledger)) : [];
    if (user) saved.push(this.#keeper.forget(user));
    await Promise.all(saved);
  }

  get #ledgers() {
    return [...this.#adopted, this.#own];
  }

  #ledger() {
    return new Ledger(({ record }) => this.#keeper.save(record));
  }

  #isOurs({ user, ledger }) {
    return user === null ? !ledger.adopted : user === this.user?.id;
  }

  #waitingFor({ cart, opId }) {
    return opId === null ? [] : this.entries(cart).filter(({ waitsFor }) => waitsFor === opId);
  }

  #take(record) {
    const ledger = this.#ledger();
    ledger.adopted = true;
    ledger.claim(record);
    for (const entry of ledger.entries) entry.user ??= this.user.id;
    this.#adopted.push(ledger);
    this.#expire(ledger);
    this.#changed(ledger.entries);
  }

  /** Who waits for a line must know it before the change that made it is forgotten. */
  async #storeAfter(others, ledger) {
    if (others.size) await Promise.all([...others].map((each) => each.save()));
    this.#store(ledger);
  }

  /** Store a record; one that we adopted goes when nothing is left in it for us. */
  #store(ledger) {
    if (!this.#isOpen) return undefined; // `open` finds it, and the service knows it by its op_id.
    if (!ledger.adopted || ledger.entries.some((entry) => this.#isOurs(entry))) return ledger.save();
    const place = this.#adopted.indexOf(ledger);
    if (place >= 0) this.#adopted.splice(place, 1);
    return ledger.entries.length ? this.#letGo(ledger) : this.#remove(ledger);
  }

  async #remove(ledger) {
    await ledger.save(); // What is being written comes before the end.
    await this.#keeper.remove(ledger.client);
  }

  async #letGo(ledger) {
    await ledger.save();
    await this.#keeper.release(ledger.client);
  }

  #expire(ledger) {
    const text = "The change could not be sent for 30 days.";
    for (const entry of [...ledger.entries]) {
      if (entry.at >= Date.now() - OLD_MS || !this.#isOurs(entry)) continue;
      this.refuse(entry, new CartroomError("expired", text));
    }
  }

  #changed(entries) {
    for (const cart of new Set(entries.map((entry) => entry.cart))) this.emit("change", cart);
  }

  #closed() {
    this.opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }
}

function takenOver() {
  return new CartroomError("disconnected", "Another tab has taken the change over.");
}
