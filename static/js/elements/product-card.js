/** A product in a list: picture, name, price, stock, and the way into a cart where there is one. */

import { productAddress, stockOf } from "../app/catalog.js";
import { h, setText } from "../app/dom.js";
import { money } from "../app/money.js";
import { countText } from "../app/pieces.js";
import { define, Element } from "./element.js";
import "./product-picture.js";
import { allowedQty } from "./quantity-stepper.js";

/** Its price, and what it cost before where that was more. `element` is filled anew. */
export function showPrice(element, { price, compare_at_price: before }) {
  const reduced = before && before.currency === price.currency && before.amount > price.amount;
  element.replaceChildren(
    h("span.price", {}, money(price.amount, price.currency)),
    reduced
      ? h("s.was-price", {}, h("span.unseen", {}, "before: "), money(before.amount, before.currency))
      : "",
  );
  element.classList.toggle("reduced", Boolean(reduced));
}

/**
 * `<product-card>` of a `product`. With `target` (as of `<product-finder>`) it can be added from
 * here; call `refresh()` when the target's answers may have changed.
 */
export class ProductCard extends Element {
  target = null;
  #product = null;
  #parts = null;
  #adding = 0;

  get product() {
    return this.#product;
  }

  set product(product) {
    this.#product = product;
    if (this.#parts) this.#show();
  }

  build() {
    const { sku, name } = this.#product;
    this.classList.add("product");
    this.dataset.sku = sku;
    const link = h("a.product-name", { href: productAddress(sku), title: name }, name);
    const price = h("span.prices", {});
    const stock = h("span.stock", {});
    const inCart = h("span.in-cart", {});
    this.#parts = { link, price, stock, inCart };
    this.append(
      h("product-picture", { product: this.#product }),
      h("div.product-text", {}, link, h("span.sku", {}, sku)),
      h("div.product-facts", {}, price, stock, inCart),
    );
    if (this.target) this.append(this.#adder());
    this.#show();
  }

  /** Where arrow keys lead to: what one most likely wants of it. */
  get handle() {
    const { add, link } = this.#parts;
    return add && !add.disabled ? add : link;
  }

  refresh() {
    if (this.#parts) this.#showState();
  }

  #adder() {
    const { name } = this.#product;
    const qty = h("quantity-stepper", { label: name, value: 1 });
    qty.addEventListener("step", ({ detail }) => this.#choose(qty.value + detail));
    qty.addEventListener("set", ({ detail }) => this.#choose(detail));
    qty.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target.localName !== "input") return;
      event.preventDefault();
      event.target.dispatchEvent(new Event("change")); // What is typed counts.
      if (event.target.value === String(qty.value)) this.#add();
    });
    const props = { type: "button", "aria-label": `Add ${name}`, onclick: () => this.#add() };
    const add = h("button.add", props, "Add");
    this.#parts.qty = qty;
    this.#parts.add = add;
    return h("div.product-add", {}, qty, add);
  }

  #choose(value) {
    this.#parts.qty.value = allowedQty(value);
  }

  async #add() {
    const { qty, add } = this.#parts;
    if (add.disabled) return;
    this.#adding += 1;
    this.#showState();
    const done = await this.target.add(this.#product, qty.value);
    this.#adding -= 1;
    if (done) qty.value = 1;
    this.#showState();
  }

  #show() {
    showPrice(this.#parts.price, this.#product);
    const { text, kind } = stockOf(this.#product);
    setText(this.#parts.stock, text);
    this.#parts.stock.dataset.kind = kind;
    this.#showState();
  }

  #showState() {
    const { target } = this;
    if (!target) return;
    const { inCart, add, qty } = this.#parts;
    const count = target.count(this.#product.sku);
    setText(inCart, this.#adding ? "Adding…" : count ? `${countText(count)} in the cart` : "");
    const ready = target.ready() && this.#product.available !== 0;
    add.disabled = !ready;
    qty.hidden = !ready;
  }
}

define("product-card", ProductCard);
