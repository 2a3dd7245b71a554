/** A search over the catalog, page after page. A newer one ends the one before. */

import { findProducts } from "./catalog.js";

const PAGE = 24;
/** Products held by a list; beyond it a narrower search is the way. */
export const LISTED_MAX = 480;

export class Search {
  items = [];
  /** loading | ready | failed */
  status = "loading";
  /** What `items` are the answer to: `{q, category}`, or null before the first one. */
  answered = null;
  error = null;

  #asked = { q: "", category: "" };
  #cursor = null;
  #abort = null;
  #changed;

  /** `changed()` is called whenever there is news. */
  constructor(changed) {
    this.#changed = changed;
  }

  /** Whether "more" would bring more. */
  get more() {
    return this.#cursor !== null && this.items.length < LISTED_MAX;
  }

  /** Whether the list ends before the products do. */
  get cut() {
    return this.#cursor !== null && this.items.length >= LISTED_MAX;
  }

  /** What is looked for now. */
  get asked() {
    return this.#asked;
  }

  /** Start over. What was found stays in sight until the answer comes. Resolves once it is there. */
  find(asked) {
    this.#asked = asked;
    return this.#load(null);
  }

  next() {
    return this.#load(this.#cursor);
  }

  retry() {
    return this.#load(this.answered === this.#asked ? this.#cursor : null);
  }

  stop() {
    this.#abort?.abort();
  }

  async #load(cursor) {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    const asked = this.#asked;
    this.status = "loading";
    this.#changed();
    try {
      const page = await findProducts({ ...asked, limit: PAGE, cursor }, abort.signal);
      if (abort.signal.aborted) return;
      this.items = cursor ? joined(this.items, page.items) : page.items;
      this.#cursor = page.next_cursor ?? null;
      this.answered = asked;
      this.status = "ready";
    } catch (error) {
      if (abort.signal.aborted) return; // A newer search took its place.
      this.status = "failed";
      this.error = error;
    }
    this.#changed();
  }
}

/** A product that was renamed meanwhile may be on two pages. */
function joined(items, more) {
  const known = new Set(items.map(({ sku }) => sku));
  return [...items, ...more.filter(({ sku }) => !known.has(sku))];
}
