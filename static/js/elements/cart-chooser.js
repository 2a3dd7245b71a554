/** Choosing into which of one's carts something goes. */

import { h, uniqueId } from "../app/dom.js";
import { define, Element } from "./element.js";

const NEW = "new";

/**
 * `<cart-chooser>` for an `app`: the carts that one may change, the one that was open last chosen.
 * With `currency`, those of other currencies can't be chosen, as a cart takes only products of its
 * own. With `creates` a new cart is among the choices. Tells `choose` (detail: the cart's id, or
 * null for a new one).
 */
export class CartChooser extends Element {
  app = null;
  label = "Add to";
  currency = null;
  creates = false;
  #select;
  #shown = "";
  #touched = false;
  #wanted = null;
  /** The cart of last time. */
  #last = null;

  build() {
    this.#last = this.app.lastCart;
    this.classList.add("chooser");
    const id = uniqueId("chooser");
    this.#select = h("select", { id, onchange: () => this.#chosen() });
    this.append(h("label", { for: id }, this.label), this.#select);
  }

  connected() {
    this.follow(this.app.carts, "change", () => this.#show());
    this.until(this.app.carts.watch());
    this.#show();
  }

  /** The id of the cart that is chosen, or null: a new one, or none. */
  get value() {
    return this.#select.value === NEW ? null : this.#select.value || null;
  }

  /** Choose a cart, as soon as it is among the choices. */
  choose(cart) {
    this.#wanted = cart;
    this.#shown = "";
    this.#show();
  }

  #chosen() {
    this.#wanted = null;
    this.#touched = true;
    this.tell("choose", this.value);
  }

  #fits(row) {
    return row.role !== "viewer" && (!this.currency || row.currency === this.currency);
  }

  #options() {
    const rows = this.app.carts.rows.filter(({ role }) => role !== "viewer");
    const carts = rows.map((row) => {
      const other = this.#fits(row) ? "" : ` (in ${row.currency})`;
      return { value: row.cart, text: `${row.name || "Unnamed cart"}${other}`, off: Boolean(other) };
    });
    return this.creates ? [...carts, { value: NEW, text: "A new cart…", off: false }] : carts;
  }

  /**
   * What is chosen before anybody chose: the cart of last time, or else the latest; nothing as long
   * as the one of last time may yet come.
   */
  #preferred(options) {
    const usable = options.filter(({ off }) => !off);
    if (usable.some(({ value }) => value === this.#last)) return this.#last;
    return this.#last && !this.app.carts.fresh ? "" : (usable[0]?.value ?? "");
  }

  #show() {
    const options = this.#options();
    const shown = JSON.stringify([options, this.app.carts.fresh]);
    if (shown === this.#shown) return; // An open list is not pulled away under somebody's hand.
    this.#shown = shown;
    const before = this.#select.value;
    this.#select.replaceChildren(
      ...options.map(({ value, text, off }) => h("option", { value, disabled: off }, text)),
    );
    const has = (cart) => cart && options.some(({ value, off }) => value === cart && !off);
    if (has(this.#wanted)) this.#select.value = this.#wanted;
    else this.#select.value = this.#touched && has(before) ? before : this.#preferred(options);
    this.hidden = !options.length || (options.length === 1 && this.creates);
    if (this.#select.value !== before) this.tell("choose", this.value);
  }
}

define("cart-chooser", CartChooser);
