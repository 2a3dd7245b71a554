/** A quantity: − [n] +. */

import { h, icon } from "../app/dom.js";
import { define, Element } from "./element.js";
import { tellError } from "./toasts.js";

export const QTY_MAX = 100_000;

/**
 * `<quantity-stepper>` with `label` (of what) and `value`. Tells `step` (detail: +1 or −1) and
 * `set` (detail: the quantity typed); its value changes when it is set from outside.
 */
export class QuantityStepper extends Element {
  label = "";
  #value = 1;
  #input;
  #less;

  get value() {
    return this.#value;
  }

  set value(value) {
    const typing = document.activeElement === this.#input;
    const untouched = !typing || this.#input.value === String(this.#value);
    this.#value = value;
    if (this.#input) this.#show(untouched);
  }

  build() {
    this.classList.add("stepper");
    this.#input = h("input.qty", {
      type: "text",
      inputmode: "numeric",
      autocomplete: "off",
      "aria-label": `Quantity of ${this.label}`,
      onchange: () => this.#commit(),
      onkeydown: ({ key }) => key === "Escape" && this.#show(true),
    });
    this.#less = this.#button("minus", "less", -1);
    this.append(this.#less, this.#input, this.#button("plus", "more", 1));
    this.#show(true);
  }

  #button(name, word, by) {
    const onclick = () => (by > 0 || this.#value > 1) && this.tell("step", by);
    const label = `One ${this.label} ${word}`;
    return h("button", { type: "button", "aria-label": label, onclick }, icon(name));
  }

  #show(untouched) {
    if (untouched) this.#input.value = String(this.#value);
    // Not the disabled property: it would throw the focus away under the reader's fingers.
    this.#less.setAttribute("aria-disabled", String(this.#value <= 1));
  }

  #commit() {
    const wanted = Number(this.#input.value.trim());
    if (wanted === this.#value) return;
    if (Number.isInteger(wanted) && wanted >= 1 && wanted <= QTY_MAX) {
      this.tell("set", wanted);
    } else {
      tellError(new Error("The quantity must be a whole number from 1 to 100,000."));
      this.#show(true);
    }
  }
}

define("quantity-stepper", QuantityStepper);
