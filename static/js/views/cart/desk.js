/**
 * What the parts of an open cart need to know and may do, in one place: who we are, what our role
 * allows, which lines wait, who looks at which line, what was missed. It also tells the others
 * where we are.
 */

import { debounce } from "../../app/dom.js";
import { piecesOf } from "../../app/pieces.js";
import { Seen } from "./seen.js";
import { tell, tellWithAction } from "../../elements/toasts.js";

const PRESENCE_AFTER_MS = 150;
const NOBODY = [];
/** The ids of lines that only this page knows of so far. */
const PROVISIONAL = /^new:/;

function lookingAt(member) {
  return member.data?.line ?? null;
}

function sameUsers(some, others) {
  return some.length === others.length && some.every(({ user }, at) => user === others[at].user);
}

export class Desk {
  app;
  room;
  /** Raised whenever who is here, or on which line, has changed. */
  presenceTurn = 0;
  /** Who is here: `[{user, name, line}]`, one a person, ourselves last. */
  here = [];

  #redraw;
  #lookers = new Map();
  #moved = new Set();
  #seen;
  #tellPresence;

  /** `redraw()` has everything drawn anew soon. */
  constructor(app, room, redraw) {
    this.app = app;
    this.room = room;
    this.#redraw = redraw;
    this.#seen = new Seen(app.user.id, room);
    this.#tellPresence = debounce(
      (line) => room.setPresence(line ? { line } : {}),
      PRESENCE_AFTER_MS,
    );
  }

  get me() {
    return this.app.user.id;
  }

  get currency() {
    return this.room.state.currency;
  }

  get owns() {
    return this.room.role === "owner";
  }

  get mayEdit() {
    return this.owns || this.room.role === "editor";
  }

  /** Changes that were made while we were away: `{since, has(entry)}`. */
  get missed() {
    return this.#seen;
  }

  person(user) {
    return this.app.names.person(user) ?? "Somebody";
  }

  /** The person's name, or what we are called ourselves. */
  named(user) {
    return user === this.me ? `${this.person(user)} (you)` : this.person(user);
  }

  /** Send an op; a refusal is shown. `products` are those of an `add`. Resolves with the `ok`, or null. */
  act(op, products) {
    return this.app.act(op, products);
  }

  redraw() {
    this.#redraw();
  }

  /** How many changes of ours wait in this cart. */
  get waiting() {
    return this.room.pending.length;
  }

  /** A key of the line that stays the same from its first sight on. */
  keyOf({ line }) {
    return this.room.keyOf(line);
  }

  /** Whether a line waits for an answer to something that we did to it. */
  isPending(line) {
    return this.room.isPending(line);
  }

  /** Who else has the focus on a line: `[{user, name}]`. */
  lookers(line) {
    return this.#lookers.get(line) ?? NOBODY;
  }

  /** Lines on which other people are than when this named them last: so many; others wait. */
  takeMoved(max) {
    const moved = [...this.#moved].slice(0, max);
    for (const line of moved) this.#moved.delete(line);
    if (this.#moved.size) this.#redraw();
    return moved;
  }

  /** Where a member is, in words; null where they aren't here. */
  whereIs(user) {
    const found = this.here.find((each) => each.user === user);
    if (!found) return null;
    const name = found.line && this.app.names.line(found.line);
    return name ? `Here, on ${name}` : "Here";
  }

  /** Take up who is here now; a list that hasn't changed stays the same object. */
  takePresence() {
    const [here, lookers] = this.#readPresence();
    const moved = [];
    for (const [line, users] of lookers) {
      const before = this.#lookers.get(line);
      if (before && sameUsers(users, before)) lookers.set(line, before);
      else moved.push(line);
    }
    for (const line of this.#lookers.keys()) if (!lookers.has(line)) moved.push(line);
    const sameHere = here.every(({ line }, at) => line === this.here[at]?.line);
    if (!moved.length && sameHere && sameUsers(here, this.here)) return;
    for (const line of moved) this.#moved.add(line);
    this.here = here;
    this.#lookers = lookers;
    this.presenceTurn += 1;
  }

  #readPresence() {
    const here = new Map();
    const lookers = new Map();
    for (const member of this.room.presence.values()) {
      const { user, client } = member;
      const line = lookingAt(member);
      const known = here.get(user);
      if (known) known.line ??= line;
      else here.set(user, { user, name: this.person(user), line });
      if (!line || client === this.app.client.client) continue;
      const there = lookers.get(line);
      if (!there) lookers.set(line, [{ user, name: this.person(user) }]);
      else if (!there.some((each) => each.user === user)) {
        there.push({ user, name: this.person(user) });
      }
    }
    const mine = ({ user }) => Number(user === this.me);
    return [[...here.values()].sort((one, other) => mine(one) - mine(other)), lookers];
  }

  /** Tell the others which line we are on; null: none. */
  lookAt(line) {
    this.#tellPresence(line && !PROVISIONAL.test(line) ? line : null);
  }

  /** Remove a line, and offer to take that back. */
  async remove(line, saved) {
    const { sku, name, qty, note } = line;
    const { lines, members } = this.room.state;
    const removing = this.act({ kind: "remove", line: line.line });
    const owned = members.some(({ user }) => user === line.for);
    // What it would be summed up with couldn't be told apart from it.
    const twin = lines.some((each) => each.sku === sku && each.for === line.for);
    const text = `You removed ${piecesOf(qty, name)}.`;
    const act = () => this.#bringBack(line, saved);
    if (!owned || (saved && twin)) tell(text);
    else tellWithAction(text, { label: "Undo", act });
    await removing;
  }

  async #bringBack(line, saved) {
    const { sku, qty, note, name, unit_price } = line;
    const product = { sku, name, price: { amount: unit_price, currency: this.currency } };
    const items = [{ sku, qty, for: line.for }];
    const done = await this.act({ kind: "add", items }, [product]);
    const fresh = done?.results?.[0]?.line;
    if (!fresh) return;
    if (note) await this.act({ kind: "note", line: fresh, text: note });
    if (saved) await this.act({ kind: "save_for_later", line: fresh });
  }

  stop() {
    this.#tellPresence.cancel();
    this.#seen.stop();
    if (!this.room.closed) this.room.setPresence({});
  }
}
