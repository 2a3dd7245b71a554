/** The variants of a product as choices: a group of radio buttons for each of its options. */

import { h, uniqueId } from "../app/dom.js";
import { define, Element } from "./element.js";

/** Sizes as shops write them, small to large. */
const SIZES = [
  ["xxs"],
  ["xs", "extra small"],
  ["s", "small"],
  ["m", "medium"],
  ["l", "large"],
  ["xl", "extra large"],
  ["xxl", "2xl", "double extra large"],
  ["xxxl", "3xl"],
];

function sizeOf(value) {
  return SIZES.findIndex((names) => names.includes(value.toLowerCase()));
}

/** Sizes by size, numbers by number, all else by name. */
function byValue(a, b) {
  const [first, second] = [sizeOf(a), sizeOf(b)];
  if (first >= 0 && second >= 0) return first - second;
  return a.localeCompare(b, undefined, { numeric: true });
}

function same(a, b) {
  return Object.keys(a).filter((name) => a[name] === b[name]).length;
}

/** Which variant has `value` for the option `name`, and else what `chosen` has, as far as can be. */
function nearest(variants, chosen, name, value) {
  const fitting = variants.filter(({ options }) => options[name] === value);
  const likeness = ({ options, available }) => same(options, chosen) * 2 + (available !== 0 ? 1 : 0);
  return fitting.sort((a, b) => likeness(b) - likeness(a))[0];
}

/**
 * `<product-options>` of `variants`, products of one handle, with `chosen` among them. Tells
 * `variant` (detail: the product) when another is chosen.
 */
export class ProductOptions extends Element {
  variants = [];
  chosen = null;

  build() {
    this.classList.add("options");
    const names = [...new Set(this.variants.flatMap(({ options }) => Object.keys(options)))];
    const groups = names.map((name) => [name, this.#values(name)]);
    this.append(...groups.filter(([, values]) => values.length > 1).map((one) => this.#group(one)));
  }

  #values(name) {
    const values = this.variants.map(({ options }) => options[name]);
    return [...new Set(values.filter((value) => value !== undefined))].sort(byValue);
  }

  #group([name, values]) {
    const group = uniqueId("option");
    const choices = values.map((value) => this.#choice(group, name, value));
    return h("fieldset.option", {}, h("legend", {}, name), h("div.option-values", {}, choices));
  }

  #choice(group, name, value) {
    const variant = nearest([...this.variants], this.chosen.options, name, value);
    const none = variant.available === 0;
    const input = h("input", {
      type: "radio",
      name: group,
      value,
      checked: this.chosen.options[name] === value,
      onchange: () => this.tell("variant", variant),
    });
    const text = h("span", {}, value, none ? h("span.unseen", {}, ", sold out") : null);
    return h(`label.option-value${none ? ".none" : ""}`, {}, input, text);
  }
}

define("product-options", ProductOptions);
