/**
 * A store that ends with its process. Given to one client after the other it behaves as a reload
 * does; given to several at a time, as tabs of one browser do.
 */

import { Store } from "./store.js";

export class MemoryShelf {
  #areas = { clients: new Map(), rooms: new Map(), meta: new Map() };

  async get(area, key) {
    return structuredClone(this.#areas[area].get(key));
  }

  async put(area, key, value) {
    this.#areas[area].set(key, structuredClone(value));
  }

  async delete(area, key) {
    this.#areas[area].delete(key);
  }

  async all(area) {
    return structuredClone([...this.#areas[area].values()]);
  }
}

/** Who lets go here does so at once. */
const CLAIM_WAIT_MS = 50;

/** Locks by name, with as much of `navigator.locks` as a `Store` needs. */
export class MemoryLocks {
  /** By name: who has it, then who waits for it. */
  #queues = new Map();

  async request(name, { ifAvailable = false, signal }, callback) {
    const queue = this.#queues.get(name) ?? [];
    if (ifAvailable && queue.length) return callback(null);
    this.#queues.set(name, queue);
    const turn = { begin: () => {} };
    queue.push(turn);
    if (queue[0] !== turn) await this.#wait(queue, turn, signal);
    try {
      return await callback({ name });
    } finally {
      queue.shift();
      if (queue.length) queue[0].begin();
      else this.#queues.delete(name);
    }
  }

  #wait(queue, turn, signal) {
    return new Promise((resolve, reject) => {
      turn.begin = resolve;
      signal?.addEventListener("abort", () => {
        const place = queue.indexOf(turn);
        if (place <= 0) return; // It has its turn.
        queue.splice(place, 1);
        reject(signal.reason);
      });
    });
  }
}

export class MemoryTab {
  #items = new Map();

  getItem(key) {
    return this.#items.get(key) ?? null;
  }

  setItem(key, value) {
    this.#items.set(key, value);
  }

  removeItem(key) {
    this.#items.delete(key);
  }
}

export class MemoryStore extends Store {
  /** `{tab, shelf, locks}`: parts of other stores, to share them or to look into them. */
  constructor({
    tab = new MemoryTab(),
    shelf = new MemoryShelf(),
    locks = new MemoryLocks(),
  } = {}) {
    super({ shelf, locks, tab, claimWaitMs: CLAIM_WAIT_MS });
  }
}
