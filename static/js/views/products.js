/** All products, on a page of their own; they go into the cart that is chosen. */

import { h } from "../app/dom.js";
import { piecesBySku } from "../app/pieces.js";
import { define, Element } from "../elements/element.js";
import "../elements/cart-chooser.js";
import "../elements/product-finder.js";

/** `<products-view>`; `app` is null where nobody is signed in, who can look around only. */
class ProductsView extends Element {
  app = null;
  desk = null;
  argument = null;
  #room = null;
  #finder;
  #pieces = new Map();
  #unfollow = () => {};

  build() {
    this.classList.add("products-view");
    const chooser = this.app && h("cart-chooser", { app: this.app });
    chooser?.addEventListener("choose", ({ detail }) => this.#open(detail));
    this.#finder = h("product-finder", {
      layout: "grid",
      browses: true,
      remembers: true,
      target: this.app && this.#target(),
    });
    const head = h("div.view-head", {}, h("h1", { tabindex: "-1" }, "Products"), chooser);
    this.append(head, this.#finder);
  }

  connected() {
    this.until(() => this.#unfollow());
  }

  #target() {
    const room = () => (this.#room && !this.#room.closed ? this.#room : null);
    return {
      ready: () => Boolean(room()?.state) && room().role !== "viewer",
      count: (sku) => this.#pieces.get(sku) ?? 0,
      add: async (product, qty) => {
        const op = { kind: "add", items: [{ sku: product.sku, qty }] };
        return (await this.app.act(op, [product])) !== null;
      },
    };
  }

  #open(cart) {
    this.#unfollow();
    this.#room = cart ? this.app.open(cart) : null;
    const stop = this.#room?.on("change", () => this.#update());
    this.#unfollow = () => stop?.();
    this.#update();
  }

  #update() {
    this.#pieces = piecesBySku(this.#room?.closed ? null : this.#room?.state);
    this.#finder.refresh();
  }
}

define("products-view", ProductsView);
