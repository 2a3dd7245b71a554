/** Finding products: search as you type, page by page, and into a cart where there is one. */

import { debounce, h, icon, keyed, setText, uniqueId } from "../app/dom.js";
import { OnceAFrame } from "../app/frames.js";
import { LISTED_MAX, Search } from "../app/search.js";
import { troubleText } from "../app/trouble.js";
import { define, Element } from "./element.js";
import "./category-list.js";
import "./product-card.js";

const SEARCH_AFTER_MS = 200;
const SKELETONS = 10;
/** Rows stand beside something else, which had better not wait: so many are made a frame. */
const ROWS_A_FRAME = 3;
const QUERY_LENGTH_MAX = "200";

function counted(count, more) {
  if (count === 1 && !more) return "1 product";
  return `${count}${more ? "+" : ""} products`;
}

/** What was found, in words. */
function resultText(search) {
  if (search.status === "loading") return search.items.length ? "" : "Looking for products…";
  if (search.status === "failed") return troubleText(search.error);
  const { q, category } = search.answered;
  const of = `${q ? ` for “${q}”` : ""}${category ? ` in ${category}` : ""}`;
  if (!search.items.length) return of ? `Nothing found${of}.` : "There are no products yet.";
  if (search.cut) return `The first ${LISTED_MAX} products${of}. Search for more of a name.`;
  return `${counted(search.items.length, search.more)}${of}`;
}

/**
 * `<product-finder>`: a search box, what is found, and keys to move in it: arrows from the box into
 * the results and back, Enter to open a product or to add it.
 *
 * `target` (may be left out) says where products go: `{add(product, qty) → Promise<boolean>,
 * count(sku) → pieces there, ready() → may add}`; call `refresh()` when its answers may have
 * changed. `extra` stands between the box and the results. `layout` is grid or rows. With `browses`
 * there are categories to choose from. With `remembers` the search is kept with the address, so that
 * the way back leads to the same results.
 */
export class ProductFinder extends Element {
  target = null;
  extra = null;
  layout = "rows";
  browses = false;
  remembers = false;
  #views = new Map();
  #frame = new OnceAFrame(() => this.#show());
  #search = new Search(() => this.#show());
  #searchSoon = debounce(() => this.#find(), SEARCH_AFTER_MS);
  #category = "";
  #categories = null;
  #input;
  #list;
  #told;
  #retry;
  #all;
  #more;

  build() {
    this.classList.add("finder");
    this.dataset.layout = this.layout;
    const kept = this.remembers ? history.state?.search : null;
    this.#category = kept?.category ?? "";
    this.append(this.#box(kept?.q ?? ""), this.extra ?? "");
    if (this.browses) this.append(this.#makeCategories());
    this.#told = h("p.finder-status", { role: "status" });
    this.#retry = this.#button("Try again", () => this.#search.retry());
    this.#all = this.#button("Show all products", () => this.#showAll());
    this.#list = h("ul.products", { "aria-label": "Products" });
    this.#list.addEventListener("keydown", (event) => this.#move(event));
    this.#more = this.#button("Load more", () => this.#loadMore());
    this.#more.classList.add("more");
    const after = h("div.finder-after", {}, this.#retry, this.#all);
    this.append(this.#told, after, this.#list, this.#more);
  }

  connected() {
    this.follow(window, "online", () => this.#search.status === "failed" && this.#search.retry());
    this.until(() => {
      this.#searchSoon.cancel();
      this.#search.stop();
      this.#frame.cancel();
    });
    this.#find();
  }

  /** Ask the target anew. */
  refresh() {
    for (const { card } of this.#views.values()) card.refresh();
  }

  focus() {
    this.#input.focus();
  }

  #box(q) {
    const id = uniqueId("finder");
    const grid = this.layout === "grid";
    this.#input = h("input", {
      id,
      type: "search",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      enterkeyhint: "search",
      maxlength: QUERY_LENGTH_MAX,
      placeholder: grid ? "Find products by name, kind or maker" : "Name, kind or maker",
      value: q,
      oninput: this.#searchSoon,
      onkeydown: (event) => this.#typed(event),
    });
    return h(
      "div.search",
      { role: "search" },
      h(grid ? "label.unseen" : "label", { for: id }, "Find products"),
      h("div.search-box", {}, icon("search"), this.#input),
    );
  }

  #makeCategories() {
    this.#categories = h("category-list", { chosen: this.#category });
    this.#categories.addEventListener("category", ({ detail }) => this.#browse(detail));
    return this.#categories;
  }

  #browse(category) {
    this.#category = category;
    if (this.#categories) this.#categories.chosen = category;
    this.#find();
  }

  #button(label, onclick) {
    return h("button", { type: "button", hidden: true, onclick }, label);
  }

  get #q() {
    return this.#input.value.trim();
  }

  async #find() {
    this.#searchSoon.cancel();
    const asked = { q: this.#q, category: this.#category };
    if (this.remembers) history.replaceState({ ...history.state, search: asked }, "");
    await this.#search.find(asked);
  }

  #showAll() {
    this.#input.value = "";
    this.#input.focus();
    this.#browse("");
  }

  /** The button may go with the last page, and would take the focus along. */
  async #loadMore() {
    const before = this.#search.items.length;
    await this.#search.next();
    if (this.#search.items.length > before) this.#focusAt(before);
  }

  #typed(event) {
    if (event.key === "Enter" && this.#search.asked.q !== this.#q) this.#find();
    else if (event.key === "ArrowDown" || event.key === "Enter") this.#focusAt(0);
    else return;
    event.preventDefault();
  }

  #cards() {
    return [...this.#list.querySelectorAll("product-card")];
  }

  #focusAt(index) {
    const card = this.#cards()[index];
    card?.handle.focus();
    card?.scrollIntoView({ block: "nearest" });
  }

  /** Arrow keys: from result to result, and from the first row back into the box. */
  #move(event) {
    const typing = event.target.localName === "input";
    const sideways = event.key === "ArrowLeft" || event.key === "ArrowRight";
    const by = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    const cards = this.#cards();
    const columns = cards.filter((card) => card.offsetTop === cards[0].offsetTop).length;
    if (sideways && (typing || columns === 1)) return;
    event.preventDefault();
    const at = cards.indexOf(event.target.closest("product-card"));
    const next = at + by * (sideways ? 1 : columns);
    if (next < 0) this.#input.focus();
    else if (next < cards.length) this.#focusAt(next);
  }

  #show() {
    const { status, items: found, more, answered } = this.#search;
    const loading = status === "loading";
    const items = this.#inTurn(found);
    const whole = items.length === found.length;
    if (!whole) this.#frame.soon();
    keyed(
      this.#list,
      this.#views,
      items.length || !loading ? items : Array.from({ length: SKELETONS }, (_, sku) => ({ sku })),
      ({ sku }) => sku,
      (product) => (product.name ? this.#result(product) : skeleton()),
    );
    this.#list.toggleAttribute("aria-busy", loading);
    setText(this.#told, resultText(this.#search));
    this.#told.dataset.kind = status;
    this.#retry.hidden = status !== "failed";
    const narrowed = answered?.q || answered?.category;
    this.#all.hidden = !(status === "ready" && !items.length && narrowed);
    this.#more.hidden = status !== "ready" || !more || !whole;
  }

  /** Those of `found` that are to be shown now: what is to be made anew comes by a few a frame. */
  #inTurn(found) {
    if (this.layout !== "rows") return found;
    let fresh = 0;
    const end = found.findIndex(({ sku }) => !this.#views.has(sku) && ++fresh > ROWS_A_FRAME);
    return end < 0 ? found : found.slice(0, end);
  }

  #result(product) {
    const card = h("product-card", { product, target: this.target });
    return { element: h("li", {}, card), card, update: (fresh) => (card.product = fresh) };
  }
}

/** Where a product will be. */
function skeleton() {
  const card = { refresh: () => {} };
  return { element: h("li.product-skeleton", { "aria-hidden": "true" }), card, update: () => {} };
}

define("product-finder", ProductFinder);
