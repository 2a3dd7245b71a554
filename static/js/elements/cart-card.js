/** A cart as a card that leads to it: what it is called, who is in it, what it holds. */

import { companyOf } from "../app/describe.js";
import { h, setText } from "../app/dom.js";
import { money } from "../app/money.js";
import { contentText } from "../app/pieces.js";
import { ago } from "../app/time.js";
import { define, Element } from "./element.js";
import "./avatar-stack.js";

/** `<cart-card>` of a `row` of the list of carts, for the user `me`. */
export class CartCard extends Element {
  me = "";
  #row = null;
  #parts = null;

  get row() {
    return this.#row;
  }

  set row(row) {
    this.#row = row;
    if (this.#parts) this.#show();
  }

  build() {
    const name = h("span.cart-name", {});
    const company = h("span.cart-company", {});
    const people = h("avatar-stack", {});
    const total = h("span.cart-total", {});
    const pieces = h("span", {});
    const time = h("time", {});
    this.#parts = { name, company, people, total, pieces, time };
    this.append(
      h(
        "a.card.cart-card",
        { href: `#/cart/${this.#row.cart}` },
        h("span.cart-card-head", {}, name, total),
        h("span.cart-card-who", {}, people, company),
        h("span.cart-facts", {}, pieces, h("span", { "aria-hidden": "true" }, "·"), time),
      ),
    );
    this.#show();
  }

  #show() {
    const { name, company, people, total, pieces, time } = this.#parts;
    const row = this.#row;
    setText(name, row.name || "Unnamed cart");
    setText(company, companyOf(row, this.me));
    people.people = row.members ?? [];
    people.count = row.member_count ?? 1;
    setText(total, row.total === undefined ? "" : money(row.total, row.currency));
    setText(pieces, contentText(row.pieces ?? row.line_count));
    setText(time, ago(row.updated_at));
    time.dateTime = row.updated_at;
  }
}

define("cart-card", CartCard);
