/** A product's picture, or its monogram in the hue of its kind where it has none. */

import { h } from "../app/dom.js";
import { define, Element } from "./element.js";

const HUES = 8;
const SIDE_PX = 480;

function monogram(name) {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters = words.slice(0, 2).map((word) => Array.from(word)[0]);
  return letters.join("").toUpperCase() || "?";
}

function hueOf(text) {
  let sum = 7;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 65_521;
  return sum % HUES;
}

/** Addresses that a page may load pictures from: those of shops, by https alone. */
export function picturesOf({ images = [] }) {
  return images.filter((address) => /^https:\/\//i.test(address));
}

/**
 * `<product-picture>` of a `product`: the one at `index` of its pictures. Its name stands beside
 * it, so it is hidden from screen readers. `eager`: it is in sight at once.
 */
export class ProductPicture extends Element {
  product = null;
  eager = false;
  index = 0;

  build() {
    const { name, title, category, vendor, handle } = this.product;
    this.classList.add("picture", `hue-${hueOf(category || vendor || handle || name)}`);
    this.setAttribute("aria-hidden", "true");
    this.append(h("span.monogram", {}, monogram(title || name)));
    const src = picturesOf(this.product)[this.index];
    if (src) this.#load(src);
  }

  #load(src) {
    const image = h("img", {
      alt: "",
      width: SIDE_PX,
      height: SIDE_PX,
      loading: this.eager ? "eager" : "lazy",
      decoding: "async",
      referrerpolicy: "no-referrer",
    });
    // Until it is there, and where it can't be had, the monogram stands in for it.
    image.addEventListener("load", () => this.classList.add("loaded"));
    image.addEventListener("error", () => image.remove());
    image.setAttribute("src", src);
    this.append(image);
  }
}

define("product-picture", ProductPicture);
