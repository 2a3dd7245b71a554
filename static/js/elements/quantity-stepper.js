/** A quantity: − [n] +, to press, to hold, or to type. */

import { debounce, h, icon } from "../app/dom.js";
import { define, Element } from "./element.js";
import { say, tellError } from "./toasts.js";

const QTY_MAX = 100_000;
/** What the field has room for, where it isn't `wide`. */
const ROOM_DIGITS = 3;
const HOLD_MS = 450;
const REPEAT_MS = 90;
/** After so many repeats a held button goes by tens. */
const TENS_AFTER = 20;
const SAID_AFTER_MS = 500;
const KEYS = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

/** The quantity next to `value` that there may be. */
export function allowedQty(value) {
  return Math.min(QTY_MAX, Math.max(1, value));
}

/**
 * `<quantity-stepper>` with `label` (of what) and `value`. Tells `step` (detail: by how many) and
 * `set` (detail: the quantity typed); its value changes when it is set from outside. A button that
 * is held counts on, and tells the sum when it is let go.
 */
export class QuantityStepper extends Element {
  label = "";
  #value = 1;
  #input;
  #less;
  #more;
  #held = 0;
  #timer = null;
  /** The click that follows a hold has been counted. */
  #counted = false;
  /** Readers of the screen hear what came of pressing. */
  #sayLater = debounce(() => say(`${this.label}: ${this.#value}`), SAID_AFTER_MS);

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
      role: "spinbutton",
      inputmode: "numeric",
      autocomplete: "off",
      "aria-label": `Quantity of ${this.label}`,
      "aria-valuemin": "1",
      "aria-valuemax": String(QTY_MAX),
      onchange: () => this.#commit(),
      onfocus: () => this.#input.select(),
      onkeydown: (event) => this.#key(event),
    });
    this.#less = this.#button("minus", "less", -1);
    this.#more = this.#button("plus", "more", 1);
    this.append(this.#less, this.#input, this.#more);
    this.#show(true);
  }

  disconnected() {
    clearTimeout(this.#timer);
    this.#sayLater.cancel();
    this.#held = 0;
  }

  #button(name, word, by) {
    const letGo = () => this.#letGo();
    const props = {
      type: "button",
      "aria-label": `One ${this.label} ${word}`,
      onpointerdown: (event) => event.button === 0 && this.#hold(by),
      onpointerup: letGo,
      onpointercancel: letGo,
      onpointerleave: letGo,
      oncontextmenu: (event) => this.#timer !== null && event.preventDefault(),
      onclick: () => this.#click(by),
    };
    return h("button", props, icon(name));
  }

  #click(by) {
    if (this.#counted) this.#counted = false;
    else this.#step(by);
  }

  #step(by) {
    const wanted = allowedQty(this.#value + by);
    if (wanted === this.#value) return;
    this.tell("step", wanted - this.#value);
    this.#sayLater();
  }

  #hold(by) {
    this.#counted = false;
    this.#held = 0;
    let repeats = 0;
    const repeat = () => {
      repeats += 1;
      this.#counted = true;
      const next = this.#value + this.#held + (repeats > TENS_AFTER ? 10 * by : by);
      this.#held = allowedQty(next) - this.#value;
      this.#show(true);
      this.#timer = setTimeout(repeat, REPEAT_MS);
    };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(repeat, HOLD_MS);
  }

  #letGo() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const by = this.#held;
    this.#held = 0;
    if (!by) return;
    this.#step(by);
    requestAnimationFrame(() => this.#show(true)); // The new value is there by then, or refused.
  }

  #key(event) {
    if (event.key === "Escape") this.#show(true);
    const by = KEYS[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#step(by);
  }

  #show(untouched) {
    const shown = String(this.#value + this.#held);
    if (untouched && this.#input.value !== shown) this.#input.value = shown;
    this.#input.setAttribute("aria-valuenow", shown);
    this.#input.classList.toggle("wide", shown.length > ROOM_DIGITS);
    // Not the disabled property: it would throw the focus away under the reader's fingers.
    this.#less.setAttribute("aria-disabled", String(this.#value + this.#held <= 1));
    this.#more.setAttribute("aria-disabled", String(this.#value + this.#held >= QTY_MAX));
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
