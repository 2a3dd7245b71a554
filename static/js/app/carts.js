/**
 * The carts that somebody is in: as the service lists them, kept fresh while somebody looks, and
 * kept in the browser, so that they are there at once and without a connection.
 */

import { Emitter } from "../../sdk/emitter.js";
import { debounce } from "./dom.js";
import { storageOf } from "./session.js";

const KEPT = "cartroom.carts";
const KEPT_MAX = 50;
/** Not everything that changes the list is told us, so we ask as well. */
const REFRESH_MS = 15_000;
const ASK_AFTER_MS = 100;
const NAMED_MAX = 5;
const SOUGHT_PAGES_MAX = 20;

/** Forget what was kept: nobody is signed in here any more. */
export function forgetCarts() {
  storageOf("localStorage")?.removeItem(KEPT);
}

function keptOf(user) {
  try {
    const kept = JSON.parse(storageOf("localStorage")?.getItem(KEPT) ?? "null");
    return kept?.user === user && Array.isArray(kept.carts) ? kept.carts : [];
  } catch {
    return []; // Written by another version of this page.
  }
}

function keep(user, carts) {
  try {
    const text = JSON.stringify({ user, carts: carts.slice(0, KEPT_MAX) });
    storageOf("localStorage")?.setItem(KEPT, text);
  } catch (error) {
    console.warn("The list of carts could not be kept", error);
  }
}

function latestFirst(a, b) {
  return a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : 0;
}

/** What a row of the list shows of a cart that is open. */
function rowOf(row, { state, role, rev }, at) {
  return {
    ...row,
    name: state.name,
    role,
    rev,
    updated_at: at ?? row.updated_at,
    line_count: state.lines.length + state.saved.length,
    pieces: state.totals.pieces,
    total: state.totals.total,
    currency: state.currency,
    member_count: state.members.length,
    members: state.members.slice(0, NAMED_MAX),
  };
}

/**
 * Events: `change`. `rows` are those of `cart.list`, the latest changed first; `status` is loading
 * (nothing is known yet), ready or failed; `fresh` tells whether the service has been asked in this
 * page; `more`, whether there are more to ask for.
 */
export class MyCarts extends Emitter {
  rows;
  status = "loading";
  fresh = false;
  error = null;

  #client;
  #user;
  #cursor = null;
  #asking = null;
  #again = false;
  #going = null;
  #watching = 0;
  /** Carts that are being muted, or the other way round: `{muted, heard}`. */
  #muting = new Map();
  #stops = [];
  #refreshSoon = debounce(() => this.refresh(), ASK_AFTER_MS);

  constructor(client, user) {
    super();
    this.#client = client;
    this.#user = user;
    this.rows = keptOf(user);
    if (this.rows.length) this.status = "ready";
    client.on("notification", (news) => news.kind === "cart.muted" && this.#hearMuted(news));
  }

  get more() {
    return this.#cursor !== null;
  }

  get(cart) {
    return this.rows.find((row) => row.cart === cart);
  }

  /** Keep the list fresh from now on; returns the function that ends it. */
  watch() {
    this.#watching += 1;
    if (this.#watching === 1) this.#start();
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#watching -= 1;
      if (!this.#watching) this.stop();
    };
  }

  stop() {
    this.#refreshSoon.cancel();
    this.#stops.splice(0).forEach((stop) => stop());
  }

  #start() {
    const look = () => !document.hidden && this.#client.status === "live" && this.#refreshSoon();
    const timer = setInterval(look, REFRESH_MS);
    document.addEventListener("visibilitychange", look);
    this.#stops = [
      () => clearInterval(timer),
      () => document.removeEventListener("visibilitychange", look),
      this.#client.on("live", () => this.#refreshSoon()),
      this.#client.on("notification", () => this.#refreshSoon()),
      this.#client.on("status", () => this.emit("change")),
    ];
    this.refresh();
  }

  /** Ask for the first page: the latest changes are in it. */
  async refresh() {
    if (this.#again) return; // It will be asked for.
    if (this.#asking) {
      this.#again = true;
      while (this.#asking) await this.#asking;
      this.#again = false;
      if (!this.#watching) return;
    }
    await this.#turn(null);
  }

  /** Ask for one page more, once what is being asked has been answered. */
  next() {
    this.#going ??= this.#goOn().finally(() => {
      this.#going = null;
    });
    return this.#going;
  }

  async #goOn() {
    while (this.#asking) await this.#asking;
    if (this.more) await this.#turn(this.#cursor);
  }

  #turn(cursor) {
    this.#asking = this.#ask(cursor);
    return this.#asking;
  }

  async #ask(cursor) {
    try {
      const page = await this.#client.listCarts(cursor ?? undefined);
      this.#take(page, cursor);
      this.status = "ready";
      this.fresh = true;
      this.error = null;
      keep(this.#user, this.rows);
    } catch (error) {
      this.status = this.rows.length ? "ready" : "failed";
      this.error = error;
    }
    this.#asking = null;
    this.emit("change");
  }

  /**
   * Have the row of a cart known that need not be among the latest, page by page if need be; what
   * it says of muting is as of now.
   */
  async seek(cart) {
    if (!this.#watching) await this.refresh();
    for (let page = 0; page < SOUGHT_PAGES_MAX && this.more && !this.get(cart); page += 1) {
      await this.next();
    }
  }

  /** Mute a cart, or the other way round; shown at once. Rejects where it can't be done. */
  async mute(cart, muted) {
    const before = this.get(cart)?.muted;
    const wish = { muted, heard: null };
    this.#muting.set(cart, wish);
    this.#setMuted(cart, muted);
    try {
      await this.#client.muteCart(cart, muted);
      this.#end(cart, wish, muted);
    } catch (error) {
      this.#end(cart, wish, before);
      throw error;
    }
  }

  /** A wish has been answered. What was heard meanwhile of other devices and of it is the latest. */
  #end(cart, wish, muted) {
    if (this.#muting.get(cart) !== wish) return; // There is a later one.
    this.#muting.delete(cart);
    this.#setMuted(cart, wish.heard ?? muted);
  }

  /** A cart was muted, or the other way round, here or on another device of ours. */
  #hearMuted({ cart, muted }) {
    const wish = this.#muting.get(cart);
    if (wish) wish.heard = muted;
    else this.#setMuted(cart, muted);
  }

  #setMuted(cart, muted) {
    const row = this.get(cart);
    if (!row || row.muted === muted) return;
    this.#replace({ ...row, muted });
    keep(this.#user, this.rows);
  }

  /** A page takes the place of what was known of its stretch of the list. */
  #take({ carts, cursor }, after) {
    const named = new Set(carts.map(({ cart }) => cart));
    const last = carts.at(-1);
    // Of those that it doesn't name, those beyond its end were on pages that we have seen.
    const beyond = (row) => after !== null || (cursor && this.fresh && latestFirst(last, row) < 0);
    const others = this.rows.filter((row) => !named.has(row.cart) && beyond(row));
    const known = new Map(this.rows.map((row) => [row.cart, row]));
    const newer = carts.map((row) => this.#newer(row, known.get(row.cart)));
    this.rows = [...newer, ...others].sort(latestFirst);
    if (after !== null || !others.length) this.#cursor = cursor ?? null;
  }

  /** What we have seen happen in an open cart, or do ourselves, may be ahead of the list. */
  #newer(row, known) {
    const muted = this.#muting.get(row.cart)?.muted ?? row.muted;
    return known?.rev > row.rev ? { ...known, muted } : { ...row, muted };
  }

  /** What is seen of a cart that is open; `at` is when it changed. */
  learn(room, at) {
    const row = room.state && this.get(room.cart);
    if (row) this.#replace(rowOf(row, room, at));
  }

  rename(cart, name) {
    const row = this.get(cart);
    if (row) this.#replace({ ...row, name });
  }

  /** It is no longer one of ours. */
  drop(cart) {
    this.rows = this.rows.filter((row) => row.cart !== cart);
    keep(this.#user, this.rows);
    this.emit("change");
  }

  #replace(row) {
    this.rows = this.rows.map((each) => (each.cart === row.cart ? row : each)).sort(latestFirst);
    this.emit("change");
  }
}
