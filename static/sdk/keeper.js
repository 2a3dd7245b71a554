/**
 * The store as the library uses it: it never hangs and never rejects. A store that fails is told
 * once, and from then on everything is kept in memory only.
 */

import { Emitter } from "./emitter.js";
import { uuid } from "./uuid.js";

/** Events: `undurable` (an error), once: changes of ours don't outlive the page any more. */
export class Keeper extends Emitter {
  durable = true;

  #store;
  #timings;

  constructor(store, timings) {
    super();
    this.#store = store;
    this.#timings = timings;
  }

  async claim() {
    return (await this.#vital("claim")) ?? { client: uuid(), n: 0, ops: [] };
  }

  async adopt(user) {
    return (await this.#vital("adopt", user)) ?? [];
  }

  async save(record) {
    await this.#vital("save", record);
    if (!this.durable) await this.#minor("abandon", record.client);
  }

  async remove(client) {
    await this.#vital("remove", client);
  }

  release(client) {
    return this.#minor("release", client);
  }

  async lastUser() {
    return (await this.#minor("lastUser")) ?? null;
  }

  remember(user) {
    return this.#minor("remember", user);
  }

  async loadRoom(user, cart) {
    return (await this.#minor("loadRoom", user, cart)) ?? null;
  }

  saveRoom(snapshot) {
    return this.#minor("saveRoom", snapshot);
  }

  removeRoom(user, cart) {
    return this.#minor("removeRoom", user, cart);
  }

  async loadInbox(user) {
    return (await this.#minor("loadInbox", user)) ?? null;
  }

  saveInbox(inbox) {
    return this.#minor("saveInbox", inbox);
  }

  forget(user) {
    return this.#minor("forget", user);
  }

  /** What the outbox stands on. */
  async #vital(method, ...given) {
    if (!this.durable) return undefined;
    try {
      return await this.#inTime(this.#store[method](...given));
    } catch (error) {
      if (this.durable) {
        this.durable = false;
        this.emit("undurable", error);
      }
      return undefined;
    }
  }

  /** What can be done without. */
  async #minor(method, ...given) {
    try {
      return await this.#inTime(this.#store[method](...given));
    } catch (error) {
      console.warn(`The store failed at "${method}"`, error);
      return undefined;
    }
  }

  async #inTime(promise) {
    let timer;
    const late = new Promise((_, reject) => {
      const fail = () => reject(new Error("The store does not answer."));
      timer = setTimeout(fail, this.#timings.store_timeout_ms);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
