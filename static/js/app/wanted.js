/** What somebody wanted to add who then had to come in first; it lasts as long as their tab. */

import { storageOf } from "./session.js";

const KEY = "cartroom.wanted";

export function keepWanted(sku, qty) {
  storageOf("sessionStorage")?.setItem(KEY, JSON.stringify({ sku, qty }));
}

/** How many of a product were wanted, once; or null. */
export function takeWanted(sku) {
  const storage = storageOf("sessionStorage");
  const wanted = JSON.parse(storage?.getItem(KEY) ?? "null");
  if (wanted?.sku !== sku) return null;
  storage.removeItem(KEY);
  return wanted.qty;
}
