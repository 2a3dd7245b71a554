/**
 * A client's record, in memory: the changes that wait, in the order of their numbers. It is saved
 * whole; changes to it that come together are saved together.
 */

import { Entry } from "./entry.js";

export class Ledger {
  /** Its UUID; null until it is claimed. */
  client = null;
  /** The highest number given. */
  n = 0;
  entries = [];
  /** Whether it is claimed now; else what is added gets its number later. */
  isHeld = false;
  /** Whether a closed tab has left it. */
  adopted = false;

  #write;
  #current = Promise.resolve();
  #next = null;

  /** `write(ledger)` stores it and never rejects. */
  constructor(write) {
    this.#write = write;
  }

  get record() {
    const ops = this.entries.filter(({ n }) => n !== null).map((entry) => entry.stored);
    return { client: this.client, n: this.n, ops };
  }

  /** Take over a record; what waited here without a number follows what it holds. */
  claim({ client, n, ops }) {
    const ours = this.client === client ? this.entries : [];
    const numbered = new Map(ours.map((entry) => [entry.n, entry]));
    const fresh = this.entries.filter((entry) => entry.n === null);
    const loaded = ops.map((op) => numbered.get(op.n) ?? this.#loaded(op));
    const lost = this.entries.filter((entry) => entry.n !== null && !loaded.includes(entry));
    this.client = client;
    this.n = n;
    this.isHeld = true;
    this.entries = loaded;
    for (const entry of fresh) this.append(entry);
    return lost;
  }

  append(entry) {
    if (this.isHeld) {
      this.n += 1;
      entry.n = this.n;
    }
    this.entries.push(entry);
  }

  remove(entry) {
    const place = this.entries.indexOf(entry);
    if (place >= 0) this.entries.splice(place, 1);
    return place >= 0;
  }

  /** Resolves once the ledger is stored as it is now. */
  save() {
    this.#next ??= this.#current.then(() => {
      this.#current = this.#next;
      this.#next = null;
      return this.#write(this);
    });
    return this.#next;
  }

  #loaded(op) {
    const entry = new Entry(this, op);
    entry.doubtful = this.adopted && entry.sent;
    return entry;
  }
}
