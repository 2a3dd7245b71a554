/** Clients that die: at any call of their store, with their sockets, as a page does that is closed. */

import { Cartroom } from "../../static/sdk/cartroom.js";
import { MemoryStore, MemoryTab } from "../../static/sdk/stores/memory.js";
import { PATIENT, turn } from "./service.mjs";

export const TIMINGS = {
  ...PATIENT,
  backoff_base_ms: 5,
  retry_base_ms: 5,
  keep_after_ms: 1,
  adopt_every_ms: 10,
};
const VITAL = new Set(["claim", "adopt", "save", "remove"]);

/** A client on a store that others have after it. */
export class Life {
  calls = 0;
  isDead = false;
  isOffline = false;
  room = null;
  rejected = [];
  #held = new Set();
  #died;

  /** `dieAt`: before which call of the store, or with `after` once that has had its effect. */
  constructor(service, store, { user = "usr_ana", dieAt = Infinity, after = false, ...more } = {}) {
    Object.assign(this, { service, store, dieAt, after });
    this.died = new Promise((resolve) => {
      this.#died = resolve;
    });
    const life = this;
    this.Socket = class extends service.socket(user) {
      constructor() {
        super();
        life.sockets.push(this);
        if (life.isDead || life.isOffline) this.end(1006);
      }
    };
    this.sockets = [];
    this.client = new Cartroom({
      url: "ws://shop",
      WebSocket: this.Socket,
      store: this.#mortal(),
      timings: TIMINGS,
      ...more,
    });
    this.client.on("rejected", (refusal) => this.rejected.push(refusal));
    this.client.start();
  }

  enter(cart) {
    this.room = this.client.room(cart);
    return this.room;
  }

  /** Lose the network, alone. */
  offline() {
    this.isOffline = true;
    for (const socket of this.sockets) socket.end(1006);
  }

  /** From now on nothing that this client does has an effect, and its locks are free. */
  die() {
    this.isDead = true;
    for (const socket of this.sockets) socket.end(1006);
    for (const client of this.#held) this.store.release(client);
    this.#died();
  }

  /** Let go of its timers. */
  bury() {
    return Promise.race([this.client.stop(), this.died]);
  }

  /** The store as this client has it: saving takes a while, and once it is dead nothing works. */
  #mortal() {
    const call = async (method, given) => {
      const count = VITAL.has(method) && !this.isDead ? (this.calls += 1) : 0;
      if (count === this.dieAt && !this.after) this.die();
      if (method === "save") [given[0]] = [structuredClone(given[0]), await turn(), await turn()];
      if (this.isDead) return this.#nothing(method);
      const result = await this.store[method](...given);
      for (const record of { claim: [result], adopt: result }[method] ?? []) {
        this.#held.add(record.client);
        if (this.isDead) this.store.release(record.client);
      }
      if (method === "release" || method === "remove") this.#held.delete(given[0]);
      if (count === this.dieAt) this.die();
      return this.isDead ? this.#nothing(method) : result;
    };
    return new Proxy(this.store, { get: (_, method) => (...given) => call(method, given) });
  }

  /** Nobody is there to hear it: a failure ends what was under way, and leaves no timers. */
  #nothing(method) {
    if (VITAL.has(method)) throw new Error("This client is dead.");
    return undefined;
  }
}

/**
 * A store, and what it holds of changes: `waiting()`, `[{op_id, op, user}]`.
 * `tab` is the memory of the tab. No change may ever wait for a line that no other one makes.
 */
export function storeToLookAt() {
  const tab = new MemoryTab();
  const store = new MemoryStore({ tab });
  const seen = new Map();
  const [save, remove] = [store.save.bind(store), store.remove.bind(store)];
  const check = () => {
    const waiting = store.waiting();
    const ids = waiting.map(({ op_id }) => op_id);
    for (const { op } of waiting) {
      const add = /^new:(.+):\d+$/.exec(op.line ?? "")?.[1];
      if (add && !ids.includes(add)) store.dangling.push(op);
    }
  };
  store.tab = tab;
  store.dangling = [];
  store.save = async (record) => {
    await save(record);
    seen.set(record.client, structuredClone(record));
    check();
  };
  store.remove = async (client) => {
    await remove(client);
    seen.delete(client);
    check();
  };
  store.waiting = () =>
    [...seen.values()].flatMap(({ client, ops }) =>
      ops.map(({ n, op, user }) => ({ op_id: `${client}:${n}`, op, user })),
    );
  return store;
}
