/**
 * Deleting carts with time to think again. For some seconds a cart is only about to be deleted;
 * then the op is sent, which nobody can take back. Leaving the page means it: it is sent at once.
 * What is about to be deleted is noted in the browser, so that it isn't forgotten where the page
 * ended before the service had answered.
 */

import { Emitter } from "../../sdk/emitter.js";
import { storageOf } from "./session.js";

export const UNDO_MS = 8_000;
const NOTED = "cartroom.deleting";
/** A note of a tab that is still there is that tab's to carry out. */
const OTHERS_AFTER_MS = 5_000;
/** What is sent at the second of these may be too late; browsers differ in whether they tell the first. */
const LEAVING = ["beforeunload", "pagehide"];
/** It is deleted, or not ours to delete, whatever happened to our op. */
const OVER = new Set(["not_found", "cart_closed"]);

function notes() {
  try {
    const noted = JSON.parse(storageOf("localStorage")?.getItem(NOTED) ?? "[]");
    return Array.isArray(noted) ? noted : [];
  } catch {
    return []; // Written by another version of this page.
  }
}

function note(change) {
  const storage = storageOf("localStorage");
  const noted = change(notes());
  try {
    if (noted.length) storage?.setItem(NOTED, JSON.stringify(noted));
    else storage?.removeItem(NOTED);
  } catch (error) {
    console.warn("What is to be deleted could not be noted", error);
  }
}

/**
 * Events: `change`, `deleted` (the cart's id), `failed` ({cart, name, error}). `send(cart)` deletes
 * a cart, and rejects where that is refused; `sendLast(cart)` does it at once and tells nothing.
 * `hold(cart)` joins it meanwhile and gives the function that ends that: what comes last over a
 * socket is sure to be taken in of carts that are joined alone.
 */
export class Deletions extends Emitter {
  #user;
  #given;
  #entries = new Map();
  #timers = new Set();
  #leaving = () => this.#sendLast();

  constructor(user, { hold, send, sendLast }) {
    super();
    this.#user = user;
    this.#given = { hold, send, sendLast };
    for (const name of LEAVING) window.addEventListener(name, this.#leaving);
    for (const noted of notes()) if (noted.user === user) this.#takeUp(noted);
  }

  /** A note of a page that ended, or of one that may: `at` is when it is due. */
  #takeUp({ cart, at }) {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        const stands = notes().some((one) => one.user === this.#user && one.cart === cart);
        if (!stands || this.#entries.has(cart)) return;
        this.#enter(cart, "A cart");
        this.#send(cart);
      },
      Math.max(0, at + OTHERS_AFTER_MS - Date.now()),
    );
    this.#timers.add(timer);
  }

  /** Whether a cart is about to be deleted: `{name, sent}`, or undefined. */
  get(cart) {
    return this.#entries.get(cart);
  }

  /** Delete a cart, unless somebody thinks again in time. */
  begin(cart, name) {
    if (this.#entries.has(cart)) return;
    const entry = this.#enter(cart, name);
    entry.timer = setTimeout(() => this.#send(cart), UNDO_MS);
    this.#note(cart, Date.now() + UNDO_MS);
    this.emit("change");
  }

  /** Keep it after all; false where that is too late. */
  undo(cart) {
    const entry = this.#entries.get(cart);
    if (!entry || entry.sent) return false;
    clearTimeout(entry.timer);
    this.#end(cart);
    return true;
  }

  /** Send all that is waited with. Resolves once the service has answered. */
  async flush() {
    await Promise.all([...this.#entries.keys()].map((cart) => this.#send(cart)));
  }

  /** Nothing more is sent from here; what is noted is for the next time. */
  stop() {
    for (const name of LEAVING) window.removeEventListener(name, this.#leaving);
    for (const timer of this.#timers) clearTimeout(timer);
    for (const { timer } of this.#entries.values()) clearTimeout(timer);
  }

  #enter(cart, name) {
    const entry = { name, sent: null, timer: null, release: this.#given.hold(cart) };
    this.#entries.set(cart, entry);
    return entry;
  }

  /** The page ends: there is time for one message a cart. Where it stays after all, all is as ever. */
  #sendLast() {
    for (const cart of [...this.#entries.keys()]) {
      this.#given.sendLast(cart);
      this.#send(cart);
    }
  }

  #send(cart) {
    const entry = this.#entries.get(cart);
    clearTimeout(entry.timer);
    if (!entry.sent) {
      this.#note(cart, 0);
      entry.sent = this.#delete(cart, entry);
      this.emit("change");
    }
    return entry.sent;
  }

  async #delete(cart, { name }) {
    try {
      await this.#given.send(cart);
      this.emit("deleted", cart);
    } catch (error) {
      if (OVER.has(error.code)) this.emit("deleted", cart);
      else this.emit("failed", { cart, name, error });
    }
    this.#end(cart);
  }

  #end(cart) {
    this.#entries.get(cart).release();
    this.#entries.delete(cart);
    note((noted) => noted.filter((one) => one.user !== this.#user || one.cart !== cart));
    this.emit("change");
  }

  #note(cart, at) {
    const mine = { user: this.#user, cart, at };
    note((noted) => [
      ...noted.filter((one) => one.user !== mine.user || one.cart !== cart),
      mine,
    ]);
  }
}
