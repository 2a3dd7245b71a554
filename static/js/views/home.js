/** The first page: what Cartroom is, or where one was; and the catalog, to look around in. */

import { h, icon, keyed, setText } from "../app/dom.js";
import { money } from "../app/money.js";
import { define, Element } from "../elements/element.js";
import { avatar } from "../elements/user-avatar.js";
import "../elements/cart-card.js";
import "../elements/product-finder.js";
import "../elements/product-picture.js";

const CARTS_SHOWN = 4;
const SKELETONS = 4;

/** `<home-view>`; `app` is null where nobody is signed in. */
class HomeView extends Element {
  app = null;
  desk = null;
  argument = null;
  #views = new Map();
  #list;
  #none;
  #trouble;

  build() {
    this.classList.add("home");
    const finder = h("product-finder", { layout: "grid", browses: true, remembers: true });
    const catalog = h(
      "section.home-catalog",
      { "aria-labelledby": "home-catalog" },
      h("h2", { id: "home-catalog" }, "Products"),
      finder,
    );
    this.append(this.app ? this.#welcome() : this.#invitation(), catalog);
  }

  connected() {
    if (!this.app) return;
    this.follow(this.app.carts, "change", () => this.#show());
    for (const name of ["online", "offline"]) this.follow(window, name, () => this.#show());
    this.until(this.app.carts.watch());
    this.#show();
  }

  #invitation() {
    return h(
      "section.hero",
      {},
      h(
        "div.hero-text",
        {},
        h("h1", { tabindex: "-1" }, "Fill one cart together"),
        h(
          "p.lead",
          {},
          "Cartroom is a shopping cart that several people fill at the same time: " +
            "everyone sees every change at once.",
        ),
        h(
          "div.hero-actions",
          {},
          h("a.button.primary", { href: "#/register" }, "Create an account"),
          h("a.button", { href: "#/signin" }, "Sign in"),
          h("a.quiet-link", { href: "#/guest" }, "Continue as guest"),
        ),
      ),
      scene(),
    );
  }

  #welcome() {
    this.#list = h("ul.cart-cards", { "aria-label": "Your latest carts" });
    this.#none = h(
      "div.card.no-carts",
      { hidden: true },
      h("p", {}, "You have no carts yet. Make one, and let others into it."),
      h("p", {}, h("a.button.primary", { href: "#/carts" }, icon("plus"), "Make a cart")),
    );
    const retry = () => this.app.carts.refresh();
    this.#trouble = h(
      "div.card.no-carts",
      { hidden: true },
      h("p", { role: "status" }),
      h("p", {}, h("button", { type: "button", onclick: retry }, "Try again")),
    );
    return h(
      "section.home-carts",
      {},
      h(
        "div.home-head",
        {},
        h("h1", { tabindex: "-1" }, `Hello, ${this.app.user.name}`),
        h("a", { href: "#/carts" }, "All my carts"),
      ),
      this.#none,
      this.#trouble,
      this.#list,
    );
  }

  /** The cart of last time first, then those that changed last. */
  #latest() {
    const { carts, lastCart } = this.app;
    const last = carts.get(lastCart);
    const others = carts.rows.filter((row) => row !== last);
    return [...(last ? [last] : []), ...others].slice(0, CARTS_SHOWN);
  }

  #show() {
    const { carts, user } = this.app;
    const waiting = carts.status === "loading" && navigator.onLine;
    const rows = waiting
      ? Array.from({ length: SKELETONS }, (_, cart) => ({ cart, skeleton: true }))
      : this.#latest();
    const room = !waiting && rows.length && rows.length < CARTS_SHOWN;
    keyed(
      this.#list,
      this.#views,
      room ? [...rows, { cart: "new", makes: true }] : rows,
      ({ cart }) => cart,
      (row) => (row.skeleton ? skeleton() : row.makes ? newCart() : cartView(row, user.id)),
    );
    this.#list.hidden = !rows.length;
    this.#trouble.hidden = waiting || carts.status === "ready";
    if (!this.#trouble.hidden) setText(this.#trouble.firstChild, troubleOf(carts));
    this.#none.hidden = !(carts.status === "ready" && carts.fresh && !carts.rows.length);
  }
}

const SCENE = [
  { name: "Picnic Blanket", category: "Home", by: "Mia", qty: 1, amount: 3900 },
  { name: "Lemon Syrup", category: "Food", by: "Jon", qty: 2, amount: 1380 },
  { name: "Enamel Cups", category: "Kitchen", by: "Eve", qty: 4, amount: 3160 },
];

/** What it looks like when three people fill a cart: a picture, for those who see it. */
function scene() {
  const person = (name) => avatar(`scene ${name}`, name);
  const lines = SCENE.map(({ name, category, by, qty, amount }) =>
    h(
      "div.scene-line",
      {},
      h("product-picture", { product: { name, category } }),
      h("span.scene-name", {}, name, h("span.scene-qty", {}, `${qty} ×`)),
      h("span.price", {}, money(amount, "EUR")),
      person(by),
    ),
  );
  const people = h("div.avatars", {}, ...SCENE.map(({ by }) => person(by)));
  return h(
    "div.scene",
    { "aria-hidden": "true" },
    h("div.card", {}, h("div.scene-head", {}, h("b", {}, "Picnic on Sunday"), people), lines),
    h("div.scene-news", {}, person("Jon"), "Jon added 2 × Lemon Syrup"),
  );
}

function skeleton() {
  const element = h("li.card.cart-card.skeleton", { "aria-hidden": "true" });
  return { element, update: () => {} };
}

function troubleOf({ error }) {
  if (!navigator.onLine) return "You are offline. Your carts will be here as soon as you are back.";
  return `Your carts could not be loaded. ${error?.message ?? ""}`;
}

function newCart() {
  const link = h("a.cart-card.new-card", { href: "#/carts" }, icon("plus"), "New cart");
  return { element: h("li", {}, link), update: () => {} };
}

function cartView(row, me) {
  const card = h("cart-card", { row, me });
  return { element: h("li", {}, card), update: (fresh) => (card.row = fresh) };
}

define("home-view", HomeView);
