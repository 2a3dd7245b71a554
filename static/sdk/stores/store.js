/**
 * What outlives a tab: each client's outbox as one record, snapshots of carts and inboxes, and who
 * was here last. The same on any medium: a *shelf* holds values, *locks* tell who is alive, a *tab* remembers
 * which client it was.
 *
 *     shelf  get(area, key), put(area, key, value), delete(area, key), all(area): promises;
 *            each put is atomic; areas are "clients", "rooms", "meta"
 *     locks  request(name, {signal}|{ifAvailable}, callback), as `navigator.locks`
 *     tab    getItem(key), setItem(key, value), removeItem(key), as `sessionStorage`
 *
 * A record is `{client, n, ops: [{cart, n, op, user, at, products?, sent?}]}`, stored with its `at`;
 * nobody touches one without its lock. `client` names who sends, `n` is the highest number that was
 * given; `user` is null where nobody was known yet; `at` are ms since the epoch; `sent` is true of
 * what may have reached the service. A snapshot is `{user, cart, rev, role, state, recent, at}`.
 * An inbox is `{user, notifications, unread, version, at}`. Everything may reject; the caller goes on
 * without.
 */

import { uuid } from "../uuid.js";

const CLIENT_KEY = "cartroom.client";
const USER_KEY = "user";
/** Snapshots kept; the one saved longest ago goes first. */
export const ROOMS_MAX = 20;
/** Inboxes kept, each another user's: likewise. */
export const INBOXES_MAX = 5;
/** A page that is loaded again may ask before its former self has let go. */
const CLAIM_WAIT_MS = 1_000;
/** An empty record is cleared away only then: its tab may be about to be loaded again. */
const EMPTY_KEPT_MS = 24 * 3_600_000;

function inboxKey(user) {
  return `inbox ${user}`;
}

export class Store {
  #shelf;
  #locks;
  #tab;
  /** The clients whose lock we hold, with what lets go of it. */
  #held = new Map();
  #claimWaitMs;

  constructor({ shelf, locks, tab, claimWaitMs = CLAIM_WAIT_MS }) {
    this.#claimWaitMs = claimWaitMs;
    this.#shelf = shelf;
    this.#locks = locks;
    this.#tab = tab;
  }

  /** The record of this tab, locked; a new one where its own is taken or gone. */
  async claim() {
    const known = this.#tab.getItem(CLIENT_KEY);
    // Not to have it in time may mean that the browser is busy: then it says whether it is taken.
    if (known && ((await this.#lock(known, this.#claimWaitMs)) || (await this.#lock(known, 0)))) {
      const record = await this.#shelf.get("clients", known);
      if (record) return record;
      this.#unlock(known); // Somebody has sent what it held. Its numbers are not known any more.
    }
    const record = { client: uuid(), n: 0, ops: [] };
    await this.#lock(record.client); // Nobody else has it, however long that takes.
    await this.save(record);
    this.#tab.setItem(CLIENT_KEY, record.client);
    return record;
  }

  /**
   * The records of closed tabs that hold ops of `user`, or of nobody yet, now locked by us. Old ones
   * that hold none are cleared away.
   */
  async adopt(user) {
    const theirs = (record) => record?.ops.some((op) => op.user === user || op.user === null);
    const isOver = (record) => record?.ops.length === 0 && record.at < Date.now() - EMPTY_KEPT_MS;
    const adopted = [];
    for (const found of await this.#shelf.all("clients")) {
      const { client } = found;
      if (this.#held.has(client) || !(theirs(found) || isOver(found))) continue;
      if (!(await this.#lock(client, 0))) continue;
      // It may have been changed, or sent and removed, before the lock was ours.
      const record = await this.#shelf.get("clients", client);
      if (theirs(record)) adopted.push(record);
      else if (isOver(record)) await this.remove(client);
      else this.#unlock(client);
    }
    return adopted;
  }

  /** Save a record whole. Rejects where its lock isn't ours. */
  async save(record) {
    if (!this.#held.has(record.client)) throw new Error("The record is not held any more.");
    await this.#shelf.put("clients", record.client, { ...record, at: Date.now() });
  }

  /** Remove a record, and let go of it. */
  async remove(client) {
    if (!this.#held.has(client)) return;
    await this.#shelf.delete("clients", client);
    this.#unlock(client);
  }

  /** Let go of a record: this tab may claim it again, others may adopt it. */
  async release(client) {
    this.#unlock(client);
  }

  /** A record could not be saved, so its numbers can't be trusted: never claim it again. */
  async abandon(client) {
    if (this.#tab.getItem(CLIENT_KEY) === client) this.#tab.removeItem(CLIENT_KEY);
  }

  /** Who was here last, `{id, name}` or null. */
  async lastUser() {
    return (await this.#shelf.get("meta", USER_KEY)) ?? null;
  }

  async remember(user) {
    await this.#shelf.put("meta", USER_KEY, user);
  }

  async loadRoom(user, cart) {
    return (await this.#shelf.get("rooms", `${user} ${cart}`)) ?? null;
  }

  async saveRoom(snapshot) {
    await this.#shelf.put("rooms", `${snapshot.user} ${snapshot.cart}`, snapshot);
    const kept = await this.#shelf.all("rooms");
    kept.sort((a, b) => b.at - a.at);
    for (const { user, cart } of kept.slice(ROOMS_MAX)) await this.removeRoom(user, cart);
  }

  async removeRoom(user, cart) {
    await this.#shelf.delete("rooms", `${user} ${cart}`);
  }

  async loadInbox(user) {
    return (await this.#shelf.get("meta", inboxKey(user))) ?? null;
  }

  async saveInbox(inbox) {
    await this.#shelf.put("meta", inboxKey(inbox.user), inbox);
    const kept = (await this.#shelf.all("meta")).filter(({ notifications }) => notifications);
    kept.sort((a, b) => b.at - a.at);
    for (const { user } of kept.slice(INBOXES_MAX)) await this.#shelf.delete("meta", inboxKey(user));
  }

  /** Forget a user: what is kept, and ops in records that nobody holds, also those of nobody yet. */
  async forget(user) {
    await this.#shelf.delete("meta", inboxKey(user));
    for (const room of await this.#shelf.all("rooms")) {
      if (room.user === user) await this.removeRoom(user, room.cart);
    }
    for (const record of await this.adopt(user)) {
      const others = record.ops.filter((op) => op.user !== user && op.user !== null);
      await this.save({ ...record, ops: others });
      this.#unlock(record.client);
    }
    if ((await this.lastUser())?.id === user) await this.#shelf.delete("meta", USER_KEY);
  }

  /** Take the lock of a client if it is free within `waitMs`, else once it is; whether we have it. */
  async #lock(client, waitMs = null) {
    const abort = new AbortController();
    const timer = waitMs && setTimeout(() => abort.abort(), waitMs);
    const options = waitMs === 0 ? { ifAvailable: true } : { signal: abort.signal };
    const release = await new Promise((resolve, reject) => {
      const hold = (lock) => lock && new Promise((letGo) => resolve(letGo));
      this.#locks
        .request(`cartroom.client.${client}`, options, hold)
        // Without a lock the request is over at once; with one, long after this is settled.
        .then(() => resolve(null))
        .catch((error) => (abort.signal.aborted ? resolve(null) : reject(error)));
    });
    clearTimeout(timer);
    if (release) this.#held.set(client, release);
    return release !== null;
  }

  #unlock(client) {
    this.#held.get(client)?.();
    this.#held.delete(client);
  }
}
