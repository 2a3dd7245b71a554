/** What stands in the place of a view, or of a list, that has nothing to show. */

import { h, icon, uniqueId } from "../app/dom.js";
import { define, Element } from "./element.js";

const ICONS = { empty: "box", error: "alert", wait: "offline", done: "check" };

/**
 * `<message-card>` with `heading`, `text` (a text, a node, or a list of them), `kind` (empty,
 * error, wait or done), perhaps `mark` (an icon's name), `more` (elements below the text), and
 * `actions`, elements to go on with. `level` is the heading's: 1 where the card is the whole view,
 * which gives it a card's looks, 2 within one.
 */
export class MessageCard extends Element {
  kind = "empty";
  heading = "";
  text = "";
  more = [];
  mark = "";
  actions = [];
  level = 2;

  build() {
    this.dataset.kind = this.kind;
    const whole = this.level === 1;
    if (whole) this.classList.add("card", "message-card");
    const id = uniqueId("message");
    this.append(
      h("span.message-mark", { "aria-hidden": "true" }, icon(this.mark || ICONS[this.kind])),
      h(`h${this.level}`, { id, tabindex: whole ? "-1" : undefined }, this.heading),
    );
    if (this.text) this.append(h("p", {}, this.text));
    this.append(...[this.more].flat());
    if (this.actions.length) this.append(h("div.actions", {}, this.actions));
  }
}

define("message-card", MessageCard);

/** Nothing there yet: `heading`, and a way to begin. */
export function emptyCard(heading, text, ...actions) {
  return h("message-card", { heading, text, actions });
}

/** It couldn't be had: why, the button to try again, and `others`, further ways to go on. */
export function errorCard(heading, text, again, { level = 2, others = [] } = {}) {
  const button = h("button.primary", { type: "button", onclick: again }, icon("retry"), "Try again");
  const actions = [...(again ? [button] : []), ...others];
  return h("message-card", { kind: "error", heading, text, level, actions });
}
