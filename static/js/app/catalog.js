/** The catalog: products, found by words or looked up, for everybody. */

import { call } from "./api.js";
import { countText } from "./pieces.js";

const PRODUCTS = "/api/v1/catalog/products";

/**
 * A page of the products that match all that is given: words, a category, a handle (that of the
 * variants of one product) → `{items, next_cursor}`.
 */
export function findProducts({ q, category, handle, limit = 20, cursor }, signal) {
  const query = new URLSearchParams({ limit: String(limit) });
  for (const [name, value] of Object.entries({ q, category, handle, cursor })) {
    if (value) query.set(name, value);
  }
  return call(`${PRODUCTS}?${query}`, { signal });
}

/** The product of a sku, which may hold slashes and blanks. Rejects with `not_found`. */
export function readProduct(sku, signal) {
  return call(`${PRODUCTS}/${encodeURIComponent(sku)}`, { signal });
}

/** Where the page shows a product. */
export function productAddress(sku) {
  return `#/product/${encodeURIComponent(sku)}`;
}

const FEW = 10;

/** How many there are, in words: `{text, kind}`, where `kind` is good, few or none. */
export function stockOf({ available }) {
  if (available === null || available === undefined) return { text: "In stock", kind: "good" };
  if (available <= 0) return { text: "Sold out", kind: "none" };
  if (available <= FEW) return { text: `Only ${available} left`, kind: "few" };
  return { text: `${countText(available)} in stock`, kind: "good" };
}

/** → `[{name, count}]`, by name: the categories that have products. */
export async function listCategories(signal) {
  return (await call("/api/v1/catalog/categories", { signal })).items;
}
