/** The catalog's categories, to choose one of or all. */

import { listCategories } from "../app/catalog.js";
import { h } from "../app/dom.js";
import { define, Element } from "./element.js";

/** As many are shown at once; the others on demand. */
const SHOWN = 12;

/** `<category-list>` with `chosen`, or "" for all. Tells `category` (detail: its name, or ""). */
export class CategoryList extends Element {
  #chosen = "";
  #categories = [];
  #all = false;

  get chosen() {
    return this.#chosen;
  }

  set chosen(chosen) {
    this.#chosen = chosen;
    this.#mark();
  }

  build() {
    this.classList.add("categories");
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "Categories");
    this.append(this.#button("", "All")); // The others join it, and move nothing.
    this.#mark();
  }

  connected() {
    const abort = new AbortController();
    this.until(() => abort.abort());
    this.follow(window, "online", () => this.hidden && this.#load(abort.signal));
    this.#load(abort.signal);
  }

  async #load(signal) {
    try {
      this.#categories = await listCategories(signal);
      this.#draw();
    } catch (error) {
      if (signal.aborted) return;
      // They are a help; searching goes without them.
      this.hidden = true;
      console.warn("The categories could not be loaded", error);
    }
  }

  /** The largest ones, in the order of their names. */
  #shown() {
    const all = this.#categories;
    if (this.#all || all.length <= SHOWN) return all;
    const largest = new Set([...all].sort((a, b) => b.count - a.count).slice(0, SHOWN));
    return all.filter((one) => largest.has(one) || one.name === this.#chosen);
  }

  #draw() {
    const shown = this.#shown();
    const rest = this.#categories.length - shown.length;
    const more = h("button.quiet", { type: "button", onclick: () => this.#showAll() }, `${rest} more…`);
    this.replaceChildren(
      this.#button("", "All"),
      ...shown.map(({ name, count }) => this.#button(name, name, count)),
      rest > 0 ? more : "",
    );
    this.hidden = !this.#categories.length;
    this.#mark();
  }

  #showAll() {
    const at = this.childElementCount - 1;
    this.#all = true;
    this.#draw();
    this.children[at]?.focus();
  }

  #button(name, label, count) {
    const onclick = () => this.tell("category", name === this.#chosen ? "" : name);
    const button = h(
      "button.category",
      { type: "button", onclick },
      label,
      count === undefined ? null : h("span.tab-count", { "aria-hidden": "true" }, String(count)),
    );
    button.category = name;
    return button;
  }

  #mark() {
    for (const button of this.querySelectorAll(".category")) {
      button.setAttribute("aria-pressed", String(button.category === this.#chosen));
    }
  }
}

define("category-list", CategoryList);
