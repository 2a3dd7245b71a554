/**
 * A tab as the service and the library see it: a client on a bad network, in a browser whose store
 * outlives it. It can go as tabs go when they are killed: without a word to anybody.
 */

import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";

import { MemoryLocks } from "../../../static/sdk/stores/memory.js";

/** Short waits, so that a thousand schedules take little time. */
const TIMINGS = {
  backoff_base_ms: 20,
  backoff_max_ms: 400,
  gap_patience_ms: 100,
  retry_base_ms: 30,
  retry_max_ms: 500,
  adopt_every_ms: 150,
  keep_after_ms: 30,
  // That of the store is no fault that a schedule has: a busy machine may take long.
  store_timeout_ms: 120_000,
};
/** Of writing to the store. */
const WRITE_MAX_MS = 4;

/** What the tabs of one browser share. */
export class Browser {
  locks = new MemoryLocks();
  areas = { clients: new Map(), rooms: new Map(), meta: new Map() };

  /** Ids of ops that a tab took out of the store as it ended: it could tell nobody why. */
  unheard = new Set();

  #turn = Promise.resolve();

  /** Do one thing after the other, whichever tab asks, as a database does. */
  inTurn(act) {
    this.#turn = this.#turn.then(act);
    return this.#turn;
  }

  /** How many changes wait in it; those of nobody known, as of a tab that was never live, don't. */
  get waiting() {
    const ops = [...this.areas.clients.values()].flatMap((record) => record.ops);
    return ops.filter(({ user }) => user !== null).length;
  }
}

/** What one tab remembers over a reload: its sessionStorage. */
export class Session {
  #items = new Map();
  getItem = (key) => this.#items.get(key) ?? null;
  setItem = (key, value) => this.#items.set(key, String(value));
  removeItem = (key) => this.#items.delete(key);
}

export class Tab {
  client;
  person;
  session;
  alive = true;
  /** Ids of all ops that the store holds, or has held. */
  kept = new Set();
  problems = [];
  /** The room of the cart; the latest one, where it was opened again. */
  room = null;
  /** What it had committed when it was looked at last. */
  seen = null;
  #browser;
  #chance;
  #sockets = new Set();
  #end;
  #ended = new Promise((resolve) => (this.#end = resolve));

  /** `lane` is its network, `chance` decides how long its store takes. */
  constructor({ sdk, lane, person, browser, session, chance, patienceMs }) {
    Object.assign(this, { person, session });
    this.#browser = browser;
    this.#chance = chance;
    this.client = new sdk.Cartroom({
      url: lane.url,
      token: () => person.token(),
      WebSocket: this.#socketClass(),
      store: new sdk.Store({ shelf: this.#shelf(), locks: this.#locks(), tab: session }),
      user: chance.chance(0.5) ? { id: person.id, name: person.name } : null,
      timings: { ...TIMINGS, reply_timeout_ms: patienceMs, open_timeout_ms: patienceMs },
    });
    this.client.start();
  }

  /** Go without a word: what was on its way may arrive; nothing follows, nothing more is kept. */
  die() {
    this.alive = false;
    for (const socket of this.#sockets) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.terminate();
    }
    this.#end();
    this.client.stop();
  }

  describe() {
    const { client, room } = this;
    const waiting = room.pending.map(({ op_id: opId, op }) => `${opId} ${op.kind}`);
    return `${client.status}, ${client.pending} waiting (${waiting}), ${room.status} at ${room.rev}`;
  }

  #socketClass() {
    const tab = this;
    return class extends WebSocket {
      constructor(url, protocols) {
        super(url, protocols, { perMessageDeflate: false });
        tab.#sockets.add(this);
        // A tab that is gone needn't care, and the library must.
        if (!tab.alive) this.on("error", () => {}).terminate();
        this.on("close", () => tab.#sockets.delete(this));
      }

      terminate() {
        this.on("error", () => {});
        super.terminate();
      }

      send(frame) {
        if (!tab.alive) return;
        const { type, op_id: opId } = JSON.parse(frame);
        if (type === "cart.op" && !tab.kept.has(opId)) {
          tab.problems.push(`${opId} was sent before it was stored`);
        }
        super.send(frame);
      }
    };
  }

  /** The browser's store: it takes its time, and a dying tab's last write arrives or doesn't. */
  #shelf() {
    const { areas } = this.#browser;
    const act = (what) => {
      if (!this.alive) return Promise.resolve();
      return this.#browser.inTurn(async () => {
        await delay(this.#chance.next() * WRITE_MAX_MS);
        return this.alive || this.#chance.chance(0.5) ? what() : undefined;
      });
    };
    const copy = structuredClone;
    const put = (area, key, value) => {
      const [before, after] = [opIds(areas[area].get(key)), opIds(value)];
      if (!this.alive) for (const id of before) if (!after.has(id)) this.#browser.unheard.add(id);
      for (const id of after) this.kept.add(id);
      if (value === undefined) areas[area].delete(key);
      else areas[area].set(key, value);
    };
    return {
      get: (area, key) => act(() => copy(areas[area].get(key))),
      all: async (area) => (await act(() => copy([...areas[area].values()]))) ?? [],
      delete: (area, key) => act(() => put(area, key, undefined)),
      put: (area, key, given) => {
        const value = copy(given);
        return act(() => put(area, key, value));
      },
    };
  }

  /** The browser's locks, which it takes from a tab that is gone. */
  #locks() {
    return {
      request: (name, options, hold) =>
        this.#browser.locks.request(name, options, (lock) =>
          this.alive ? Promise.race([hold(lock), this.#ended]) : undefined,
        ),
    };
  }
}

/** The ids of a record's ops, without those of nobody known. */
function opIds(record) {
  const ops = (record?.ops ?? []).filter(({ user }) => user !== null);
  return new Set(ops.map(({ n }) => `${record.client}:${n}`));
}
