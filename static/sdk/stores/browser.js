/** The store of a page: IndexedDB, Web Locks and sessionStorage where they are to be had. */

import { IndexedDbShelf } from "./indexeddb.js";
import { MemoryStore } from "./memory.js";
import { Store } from "./store.js";

/** A property that a browser may refuse to give, as it does with blocked storage. */
function given(name) {
  try {
    return globalThis[name] ?? null;
  } catch {
    return null; // Blocked by the reader's settings; we do without.
  }
}

/**
 * `{storage, locks, indexedDB, name}` are for tests and other hosts. Where one of them is missing
 * (a page that isn't served securely, storage that is blocked, Node) nothing outlives the page.
 */
export function browserStore({
  storage = given("sessionStorage"),
  locks = given("navigator")?.locks ?? null,
  indexedDB = given("indexedDB"),
  name = "cartroom",
} = {}) {
  if (!storage || !locks || !indexedDB) return new MemoryStore();
  return new Store({ shelf: new IndexedDbShelf(indexedDB, name), locks, tab: storage });
}
