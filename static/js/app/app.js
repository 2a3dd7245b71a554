/**
 * What lives as long as somebody is signed in: the client, the cart that is open, and the names of
 * people and lines that have been seen. Views come and go on top of it.
 */

import { Cartroom } from "../../sdk/cartroom.js";
import { MyCarts } from "./carts.js";
import { Deletions } from "./deletions.js";
import { News } from "./news.js";
import { storageOf } from "./session.js";
import { Unread } from "./unread.js";
import { tell, tellError, tellWithLink } from "../elements/toasts.js";

const CART_KEY = "cartroom.cart";
const LINE_NAMES_MAX = 5_000;
const FORMER_MEMBER = "Former member";

export class App {
  client;
  /** The room of the cart that is open, or null. It stays open while looking at other views. */
  room = null;
  /** The carts that we are in. */
  carts;
  /** Those of them that are about to be deleted. */
  deletions;
  /** How much of the inbox is unread. */
  unread;

  #user;
  #storage = storageOf("sessionStorage");
  #people = new Map();
  #lines = new Map();
  #stops = [];
  /** What names were last taken from. */
  #learned = {};
  /** How many hold a cart's room that need not be open. */
  #held = new Map();
  /** Of carts that they were let into, what takes the message away that says so. */
  #invited = new Map();
  /** The cart of the last invitation that was accepted here. */
  #accepting = Promise.resolve(null);

  /** `user` is who is signed in; `refused(error)` is called when that no longer counts. */
  constructor(user, refused) {
    this.user = user;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.client = new Cartroom({
      url: `${scheme}//${location.host}/ws`,
      user: { id: user.id, name: user.name }, // The cookie proves it.
    });
    this.carts = new MyCarts(this.client, user.id);
    this.unread = new Unread(this.client);
    this.deletions = new Deletions(user.id, {
      hold: (cart) => this.#hold(cart).release,
      send: (cart) => this.change(cart, { kind: "delete" }),
      sendLast: (cart) => this.client.sendLast(cart, { kind: "delete" }),
    });
    this.deletions.on("deleted", (cart) => this.carts.drop(cart));
    this.deletions.on("failed", ({ name, error }) =>
      tellError(new Error(`${name} could not be deleted. ${error.message}`)),
    );
    this.client.on("refused", refused);
    this.client.on("rejected", ({ error }) => tellError(error));
    this.client.on("notification", (news) => this.#tellNotification(news));
    this.client.start();
  }

  /** Who is signed in. What is known of them may change; who it is doesn't. */
  get user() {
    return this.#user;
  }

  set user(user) {
    this.#user = user;
    this.#people.set(user.id, user.name);
    this.names.me = user.id;
  }

  /** Names for `describe`. */
  names = {
    person: (user) => this.#people.get(user) ?? FORMER_MEMBER,
    line: (id) => this.#lines.get(id),
    me: "",
  };

  #news = new News(this.names, tell);

  /** The id of the cart that was open last in this tab. */
  get lastCart() {
    return this.room?.cart ?? this.#storage?.getItem(CART_KEY) ?? null;
  }

  /** The room of a cart; the one open before is left. */
  open(cart) {
    if (this.room?.cart === cart && !this.room.closed) return this.room;
    this.close();
    this.#invited.get(cart)?.();
    this.#invited.delete(cart);
    this.#storage?.setItem(CART_KEY, cart);
    const room = this.client.room(cart);
    this.room = room;
    this.#stops = [
      room.on("change", () => this.#learn(room)),
      room.on("op", (entry) => this.#heard(entry)),
      room.on("op", ({ at }) => this.carts.learn(room, at)),
      room.on("gone", () => this.#forgetCart(room)),
    ];
    return room;
  }

  /** Leave the open cart, if there is one. Its changes are sent all the same. */
  close() {
    const { room } = this;
    this.room = null;
    this.#lines.clear();
    this.#learned = {};
    this.#stops.splice(0).forEach((stop) => stop());
    if (room && !this.#held.has(room.cart)) room.leave();
  }

  /** Join a cart that need not be open: `{room, release}`. It is left when nobody holds it. */
  #hold(cart) {
    const room = this.client.room(cart);
    this.#held.set(cart, (this.#held.get(cart) ?? 0) + 1);
    const release = () => {
      const left = this.#held.get(cart) - 1;
      if (left) this.#held.set(cart, left);
      else this.#held.delete(cart);
      if (!left && this.room?.cart !== cart) room.leave();
    };
    return { room, release };
  }

  /** Change a cart that need not be open. Resolves with the `ok`, rejects with its refusal. */
  async change(cart, op) {
    const { room, release } = this.#hold(cart);
    try {
      return await room.op(op);
    } finally {
      release();
    }
  }

  end() {
    this.close();
    this.deletions.stop();
    this.carts.stop();
    this.unread.stop();
    this.client.stop();
    this.#news.stop();
  }

  /**
   * Send an op of the open cart; a refusal is shown. `products` are those of an `add`, as the catalog
   * tells them. Resolves with the `ok`, or null if it had no effect.
   */
  async act(op, products = []) {
    if (!this.room) return null;
    const facts = products.map(({ sku, name, price, available }) => ({
      sku,
      name,
      unit_price: price.amount,
      currency: price.currency,
      available,
    }));
    try {
      return await this.room.op(op, { products: facts });
    } catch (error) {
      if (error.code !== "discarded") tellError(error);
      return null;
    }
  }

  #forgetCart(room) {
    this.carts.drop(room.cart);
    if (this.#storage?.getItem(CART_KEY) === room.cart) this.#storage.removeItem(CART_KEY);
    if (this.room === room) this.room = null;
  }

  #learn({ state }) {
    if (!state) return;
    const { members, lines, saved } = state;
    const learned = this.#learned;
    this.#learned = { members, lines, saved };
    if (members !== learned.members) {
      for (const { user, name } of members) this.#people.set(user, name);
    }
    for (const list of [lines !== learned.lines && lines, saved !== learned.saved && saved]) {
      for (const { line, name } of list || []) this.knowLine(line, name);
    }
  }

  /** Remember what a line is called, for the time after its removal. */
  knowLine(id, name) {
    if (this.#lines.size >= LINE_NAMES_MAX && !this.#lines.has(id)) {
      this.#lines.delete(this.#lines.keys().next().value);
    }
    this.#lines.set(id, name);
  }

  #heard(entry) {
    this.#learnNames(entry.op);
    if (entry.own || entry.op.kind === "refuse") return; // Whose it is has been told.
    this.#news.hear(entry);
  }

  /** Ops name those whom they let in; who is gone for good has no name any more. */
  #learnNames({ kind, user, into, name, users = [] }) {
    for (const each of users) if (each.name) this.#people.set(each.user, each.name);
    if (kind === "merge") this.#people.set(into, name);
    if (kind === "merge" || kind === "depart") this.#people.delete(user);
  }

  /** Accept a mailed invitation; resolves with the cart that it leads to. */
  async acceptInvitation(token) {
    const accepting = this.client.acceptInvitation(token);
    this.#accepting = accepting.then(
      ({ cart }) => cart,
      () => null,
    );
    return (await accepting).cart;
  }

  async #tellNotification({ kind, cart, name, by }) {
    if (kind !== "cart.shared") return; // Of a later version.
    if ((await this.#accepting) === cart) return; // They see it: they have just come in.
    const who = by?.name ?? "Somebody";
    const close = tellWithLink(`${who} let you into “${name || "a cart"}”.`, {
      href: `#/cart/${cart}`,
      label: "Open it",
    });
    this.#invited.set(cart, close);
  }
}
