/**
 * Up to where somebody has seen a cart, over visits, so that what was changed while they were away
 * can be told apart.
 */

import { storageOf } from "../../app/session.js";

const KEY = "cartroom.seen";
const CARTS_MAX = 100;

function load(storage, user) {
  try {
    const kept = JSON.parse(storage?.getItem(KEY) ?? "null");
    if (kept?.user === user) return new Map(kept.carts);
  } catch (error) {
    console.warn("What was seen of carts could not be read", error);
  }
  return new Map();
}

function save(storage, user, carts) {
  try {
    const latest = [...carts].slice(-CARTS_MAX);
    storage?.setItem(KEY, JSON.stringify({ user, carts: latest }));
  } catch (error) {
    console.warn("What was seen of carts could not be kept", error);
  }
}

export class Seen {
  /** How many changes there were since the last visit, ours on other views and devices among them. */
  since = 0;

  #user;
  #room;
  #storage = storageOf("localStorage");
  #ranges = [];
  #from;
  #first = true;
  #stops;

  constructor(user, room) {
    this.#user = user;
    this.#room = room;
    this.#from = load(this.#storage, user).get(room.cart) ?? null;
    const leave = () => document.hidden && this.#keep();
    document.addEventListener("visibilitychange", leave);
    this.#stops = [
      room.on("change", () => this.#look()),
      () => document.removeEventListener("visibilitychange", leave),
    ];
    this.#look();
  }

  /** Whether an op of the history was somebody else's, while we were away. */
  has({ rev, by }) {
    return by !== this.#user && this.#ranges.some(([from, to]) => rev > from && rev <= to);
  }

  stop() {
    this.#stops.forEach((stop) => stop());
    this.#keep();
  }

  #look() {
    const { status, state, rev } = this.#room;
    if (status !== "live") {
      if (!this.#first && this.#from === null && state) this.#from = rev;
      return;
    }
    if (this.#from !== null && rev > this.#from) {
      this.#ranges.push([this.#from, rev]);
      if (this.#first) this.since = rev - this.#from;
    }
    this.#from = null;
    this.#first = false;
  }

  #keep() {
    if (this.#first) return;
    const carts = load(this.#storage, this.#user);
    carts.delete(this.#room.cart); // The latest come last.
    if (!this.#room.closed) carts.set(this.#room.cart, this.#from ?? this.#room.rev);
    save(this.#storage, this.#user, carts);
  }
}
