/** One product: what it is, its variants as choices, and the way into a cart. */

import { findProducts, productAddress, readProduct, stockOf } from "../app/catalog.js";
import { h, icon } from "../app/dom.js";
import { troubleText } from "../app/trouble.js";
import { define, Element } from "../elements/element.js";
import { errorCard } from "../elements/message-card.js";
import { showPrice } from "../elements/product-card.js";
import { picturesOf } from "../elements/product-picture.js";
import "../elements/product-buy.js";
import "../elements/product-options.js";

const VARIANTS_MAX = 100;
const PICTURES_MAX = 8;

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // No address of ours; no product has this sku.
  }
}

/** `<product-view>` of the sku that is the `argument`, percent-encoded. */
class ProductView extends Element {
  app = null;
  desk = null;
  argument = null;
  #product = null;
  #variants = [];
  #failed = false;
  #abort = null;
  #buy = null;

  build() {
    this.classList.add("product-view");
    this.addEventListener("variant", ({ detail }) => this.#choose(detail));
  }

  connected() {
    this.follow(window, "online", () => this.#failed && this.#load());
    this.until(() => this.#abort?.abort());
    this.#load();
  }

  get #sku() {
    return decoded(this.argument);
  }

  async #load() {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#failed = false;
    this.replaceChildren(...loadingParts());
    try {
      this.#product = await readProduct(this.#sku, abort.signal);
      this.#variants = await this.#findVariants(abort.signal);
      if (!abort.signal.aborted) this.#show();
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#fail(error);
    }
  }

  async #findVariants(signal) {
    const { handle, options } = this.#product;
    if (!handle || !Object.keys(options).length) return [];
    const { items } = await findProducts({ handle, limit: VARIANTS_MAX }, signal);
    // The one that was asked for may have changed in between, or be beyond the bound.
    return items.some(({ sku }) => sku === this.#product.sku) ? items : [this.#product, ...items];
  }

  #fail(error) {
    this.#failed = true;
    const missing = error.status === 404;
    const others = [h("a.button", { href: "#/products" }, "All products")];
    this.replaceChildren(
      missing
        ? h("message-card", {
            ...{ level: 1, mark: "search", heading: "There is no such product", actions: others },
            text: "It may have left the catalog since.",
          })
        : errorCard("This product could not be loaded", troubleText(error), () => this.#load(), {
            ...{ level: 1, others },
          }),
    );
    this.querySelector("h1").focus({ preventScroll: true });
  }

  /** Another variant is chosen: the address names it, and what depends on it is drawn anew. */
  #choose(product) {
    this.#product = product;
    this.desk.moved(productAddress(product.sku));
    this.#buy.product = product;
    this.#draw();
  }

  #show() {
    this.#buy = h("product-buy", { app: this.app, product: this.#product });
    const options =
      this.#variants.length > 1 &&
      h("product-options", { variants: this.#variants, chosen: this.#product });
    this.replaceChildren(
      h("p.trail", {}, h("a", { href: "#/products" }, icon("arrow"), "All products")),
      h(
        "article.product-page",
        {},
        h("div.product-pictures", {}),
        h(
          "div.product-about",
          {},
          h("p.product-kind", {}),
          h("h1", { tabindex: "-1" }),
          h("div.product-price", { role: "status" }, h("span.prices", {}), h("span.stock", {})),
          h("div.product-choices", {}, options || null),
          this.#buy,
          h("p.description", {}),
          h("p.sku", {}),
        ),
      ),
    );
    this.#draw();
    this.querySelector("h1").focus({ preventScroll: true });
  }

  #draw() {
    const product = this.#product;
    const { name, title, vendor, category, description, sku } = product;
    const find = (selector) => this.querySelector(selector);
    document.title = `${name} · Cartroom`;
    find(".product-kind").textContent = [category, vendor].filter(Boolean).join(" · ");
    find("h1").textContent = this.#variants.length > 1 ? title || name : name;
    showPrice(find(".product-price .prices"), product);
    const { text, kind } = stockOf(product);
    Object.assign(find(".product-price .stock"), { textContent: text }).dataset.kind = kind;
    find(".description").textContent = description;
    find(".description").hidden = !description;
    find(".product-about > .sku").textContent = `Item number ${sku}`;
    this.#drawPictures(product);
    this.#drawOptions(product);
  }

  #drawPictures(product) {
    const box = this.querySelector(".product-pictures");
    const pictures = picturesOf(product).slice(0, PICTURES_MAX);
    const big = (index) => h("product-picture", { product, index, eager: true });
    const choose = (index) => {
      box.firstElementChild.replaceWith(big(index));
      for (const [at, button] of box.querySelectorAll("button").entries()) {
        button.setAttribute("aria-pressed", String(at === index));
      }
    };
    const small = pictures.map((_, index) =>
      h(
        "button.picture-choice",
        {
          type: "button",
          "aria-label": `Picture ${index + 1} of ${pictures.length}`,
          "aria-pressed": String(index === 0),
          onclick: () => choose(index),
        },
        h("product-picture", { product, index }),
      ),
    );
    box.replaceChildren(big(0), ...(small.length > 1 ? [h("div.picture-choices", {}, small)] : []));
  }

  /** The choices that are left depend on what is chosen; who chose keeps the focus. */
  #drawOptions(chosen) {
    const before = this.querySelector("product-options");
    if (!before || before.chosen === chosen) return;
    const inputs = (element) => [...element.querySelectorAll("input")];
    const at = inputs(before).indexOf(document.activeElement);
    const after = h("product-options", { variants: this.#variants, chosen });
    before.replaceWith(after);
    if (at >= 0) inputs(after)[at]?.focus();
  }
}

function loadingParts() {
  return [
    h("h1.unseen", { tabindex: "-1" }, "Loading the product…"),
    h(
      "div.product-page",
      { "aria-hidden": "true", "aria-busy": "true" },
      h("div.skeleton.picture-skeleton", {}),
      h("div.product-about", {}, ...Array.from({ length: 4 }, () => h("div.skeleton", {}))),
    ),
  ];
}

define("product-view", ProductView);
