/** An amount of money that moves from what it was to what it is. */

import { h, setText } from "../app/dom.js";
import { money } from "../app/money.js";
import { still } from "../app/motion.js";
import { define, Element } from "./element.js";

const MOVE_MS = 380;
/** What changes again so soon doesn't move: it would never stand still. */
const CALM_MS = 600;

/** Fast at first, then gently to its end. */
function eased(part) {
  return 1 - (1 - part) ** 3;
}

/** `<moving-amount>`, drawn by `show(amount, currency)`. */
export class MovingAmount extends Element {
  #amount = null;
  #currency = "";
  #shown = 0;
  #changed = 0;
  #frame = 0;
  #text = h("span", {});

  build() {
    this.append(this.#text);
  }

  disconnected() {
    this.#stop();
    this.#draw(this.#amount ?? 0);
  }

  show(amount, currency) {
    if (amount === this.#amount && currency === this.#currency) return;
    const now = performance.now();
    const calm = now - this.#changed > CALM_MS;
    this.#changed = now;
    const first = this.#amount === null;
    this.#amount = amount;
    this.#currency = currency;
    this.#stop();
    if (first || !calm || still() || document.hidden) this.#draw(amount);
    else this.#move(this.#shown, amount);
  }

  #move(from, to) {
    const start = performance.now();
    const step = () => {
      const part = Math.min(1, (performance.now() - start) / MOVE_MS);
      this.#draw(Math.round(from + (to - from) * eased(part)));
      this.#frame = part < 1 ? requestAnimationFrame(step) : 0;
    };
    this.dataset.moves = to > from ? "up" : "down";
    this.#frame = requestAnimationFrame(step);
  }

  #stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  #draw(amount) {
    this.#shown = amount;
    if (this.#currency) setText(this.#text, money(amount, this.#currency));
    if (amount === this.#amount) delete this.dataset.moves;
  }
}

define("moving-amount", MovingAmount);
