/** A view that is on its way: its heading, and the shape of what comes. */

import { h } from "../app/dom.js";
import { define, Element } from "./element.js";

/**
 * `<loading-card>` with `heading`, and how many `rows` there will be, about. `level` is the
 * heading's: 1 where the card is the whole view, which gives it a card's looks, 2 within one.
 */
export class LoadingCard extends Element {
  heading = "Loading…";
  rows = 4;
  level = 1;

  build() {
    const whole = this.level === 1;
    if (whole) this.classList.add("card");
    this.setAttribute("aria-busy", "true");
    this.append(
      h(`h${this.level}`, { tabindex: whole ? "-1" : undefined }, this.heading),
      h(
        "div.loading-rows",
        { "aria-hidden": "true" },
        Array.from({ length: this.rows }, () => h("div.skeleton", {})),
      ),
    );
  }
}

define("loading-card", LoadingCard);
