/** Finding products: search as you type, page by page, and into the cart. */

import { findProducts } from "../app/catalog.js";
import { debounce, h, icon, keyed, setText, uniqueId } from "../app/dom.js";
import { money } from "../app/money.js";
import { tellError } from "./toasts.js";

const SEARCH_AFTER_MS = 250;
const PAGE = 20;
/** Products held by the list; beyond it a narrower search is the way. */
const LISTED_MAX = 500;

function stockText(available) {
  if (available === null || available === undefined) return { text: "In stock", kind: "good" };
  if (available <= 0) return { text: "Sold out", kind: "none" };
  if (available <= 10) return { text: `Only ${available} left`, kind: "few" };
  return { text: `${available} in stock`, kind: "good" };
}

/** One product of the list. `target` is as in `finder`. */
function productView(product, target) {
  const stock = h("span.stock", {});
  const price = h("span.price", {});
  const inCart = h("span.in-cart", {});
  const qty = h("input.qty", {
    type: "number",
    min: "1",
    max: "100000",
    step: "1",
    value: "1",
    inputmode: "numeric",
    "aria-label": `Quantity of ${product.name}`,
  });
  const button = h("button", { type: "button", "aria-label": `Add ${product.name}` }, "Add");
  let adding = 0;

  const add = async () => {
    const pieces = qty.valueAsNumber;
    if (!Number.isInteger(pieces) || pieces < 1 || pieces > 100_000) {
      tellError(new Error("The quantity must be a whole number from 1 to 100,000."));
      qty.focus();
      return;
    }
    adding += 1;
    showState();
    const done = await target.add(product, pieces);
    adding -= 1;
    if (done) qty.value = "1";
    showState();
  };
  button.addEventListener("click", add);
  qty.addEventListener("keydown", (event) => {
    if (event.key === "Enter") add();
  });

  const showState = () => {
    const count = target.count(product.sku);
    setText(inCart, adding ? "Adding…" : count ? `${count} in the cart` : "");
    const off = !target.ready() || product.available === 0;
    button.disabled = off;
    qty.disabled = off;
  };
  const element = h(
    "li.product",
    {},
    h(
      "div.product-text",
      {},
      h("span.product-name", {}, product.name),
      h("span.sku", {}, product.sku),
    ),
    h("div.product-facts", {}, price, stock, inCart),
    h("div.product-add", {}, qty, button),
  );
  const update = (fresh) => {
    setText(price, money(fresh.price.amount, fresh.price.currency));
    const { text, kind } = stockText(fresh.available);
    setText(stock, text);
    stock.dataset.kind = kind;
    showState();
  };
  return { element, update, showState };
}

/** The pages of one search after the other; `changed()` is called whenever there is news. */
class Search {
  items = [];
  cursor = null;
  /** loading | ready | failed */
  status = "loading";
  error = null;
  #q = "";
  #abort = null;

  constructor(changed) {
    this.changed = changed;
  }

  get more() {
    return this.cursor !== null && this.items.length < LISTED_MAX;
  }

  /** Start over with `q`. What was found stays in sight until the answer comes. */
  find(q) {
    this.#q = q;
    return this.#load(null);
  }

  next() {
    return this.#load(this.cursor);
  }

  retry() {
    return this.#load(this.items.length ? this.cursor : null);
  }

  stop() {
    this.#abort?.abort();
  }

  async #load(cursor) {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    this.status = "loading";
    this.changed();
    try {
      const query = { q: this.#q, limit: PAGE, cursor: cursor ?? undefined };
      const page = await findProducts(query, abort.signal);
      if (abort.signal.aborted) return;
      this.items = cursor ? [...this.items, ...page.items] : page.items;
      this.cursor = page.next_cursor ?? null;
      this.status = "ready";
    } catch (error) {
      if (abort.signal.aborted) return; // A newer search took its place.
      this.status = "failed";
      this.error = error;
    }
    this.changed();
  }
}

function resultText(search, q) {
  if (search.status === "loading") return search.items.length ? "" : "Looking for products…";
  if (search.status === "failed") return search.error.message;
  if (!search.items.length) return q ? `Nothing found for “${q}”.` : "There are no products yet.";
  const count = `${search.items.length}${search.more ? "+" : ""}`;
  return search.items.length === 1 ? "1 product" : `${count} products`;
}

/**
 * The finder: `{element, refresh, focus, stop}`. `target` says where products go:
 * `{add(product, qty) → Promise<boolean>, count(sku) → pieces there, ready() → may add}`;
 * call `refresh()` when its answers may have changed.
 */
export function finder(target, extra = null) {
  const id = uniqueId("finder");
  const views = new Map();
  const list = h("ul.products", { "aria-label": "Products" });
  const told = h("p.finder-status", { role: "status" });
  const retry = h("button", { type: "button", onclick: () => search.retry() }, "Try again");
  const more = h("button.more", { type: "button", onclick: () => search.next() }, "Load more");
  const input = h("input", {
    id,
    type: "search",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "200",
    placeholder: "Name or sku",
  });

  const search = new Search(() => {
    keyed(
      list,
      views,
      search.items,
      (item) => item.sku,
      (item) => productView(item, target),
    );
    list.toggleAttribute("aria-busy", search.status === "loading");
    setText(told, resultText(search, input.value.trim()));
    told.dataset.kind = search.status;
    retry.hidden = search.status !== "failed";
    more.hidden = search.status !== "ready" || !search.more;
  });
  const searchSoon = debounce(() => search.find(input.value.trim()), SEARCH_AFTER_MS);
  input.addEventListener("input", searchSoon);

  const element = h(
    "div.finder",
    {},
    h(
      "div.search",
      { role: "search" },
      h("label", { for: id }, "Find products"),
      h("div.search-box", {}, icon("search"), input),
    ),
    extra,
    told,
    retry,
    list,
    more,
  );
  search.find("");
  return {
    element,
    refresh: () => views.forEach((view) => view.showState()),
    focus: () => input.focus(),
    stop: () => {
      searchSoon.cancel();
      search.stop();
    },
  };
}

/** How many pieces of each sku a cart's state holds. */
export function piecesBySku(state) {
  const pieces = new Map();
  for (const line of state?.lines ?? []) {
    pieces.set(line.sku, (pieces.get(line.sku) ?? 0) + line.qty);
  }
  return pieces;
}
