/** The catalog. */

import { call } from "./api.js";

/** → `{items, next_cursor}` */
export function findProducts({ q = "", limit = 20, cursor }, signal) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (q) query.set("q", q);
  if (cursor) query.set("cursor", cursor);
  return call(`/api/v1/catalog/products?${query}`, { signal });
}
