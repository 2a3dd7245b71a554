/** What was done to the cart, newest first, by days, page by page and live. */

import { deed } from "../app/describe.js";
import { h, setText } from "../app/dom.js";
import { dayTitle, timeOfDay } from "../app/time.js";
import { define, Element } from "./element.js";
import { avatar } from "./user-avatar.js";

const PAGE = 50;
/** Rows that are kept; those before can be had again by their page. */
const ROWS_MAX = 500;
const OFFLINE = "You are offline. The history will be here as soon as you are back.";

function daySection(date) {
  const list = h("ol.deeds", {});
  return h("section.day", { "data-day": date.toDateString() }, h("h3", {}, dayTitle(date)), list);
}

/**
 * `<cart-history>` with the `desk` of its cart. `open()` loads the newest page once, `hear(entry)`
 * takes what happens from then on, drawn by `draw()`; `reset()` says that something was missed.
 */
export class CartHistory extends Element {
  desk;
  #days = h("div.days", { role: "group", "aria-label": "Changes, newest first" });
  #told = h("p.finder-status", { role: "status" });
  #more = h("button.more", { type: "button", hidden: true, onclick: () => this.#load() });
  #waiting = h(
    "div",
    { hidden: true, "aria-hidden": "true" },
    Array.from({ length: 5 }, () => h("div.skeleton", {})),
  );
  #opened = false;
  #loading = false;
  #failed = false;
  #oldest = null;
  #newest = 0;
  #rows = 0;
  #heard = [];

  build() {
    const title = h("h2.unseen", {}, "History");
    this.append(title, this.#told, this.#waiting, this.#days, this.#more);
  }

  connected() {
    this.follow(this.desk.app.client, "live", () => this.#failed && this.#load());
  }

  open() {
    if (this.#opened) return;
    this.#opened = true;
    this.#load();
  }

  hear(entry) {
    if (!this.#opened) return;
    this.#heard.push(entry);
    if (this.#heard.length > ROWS_MAX) this.#heard.shift();
  }

  draw() {
    if (this.#heard.length && !this.#loading) this.#showNews();
  }

  reset() {
    if (!this.#opened || this.#loading) return;
    this.#oldest = null;
    this.#newest = 0;
    this.#rows = 0;
    this.#heard = [];
    this.#days.replaceChildren();
    this.#load();
  }

  async #load() {
    if (this.#loading) return;
    this.#start();
    const first = this.#oldest === null;
    try {
      const page = { before: this.#oldest ?? undefined, limit: PAGE };
      this.#showPage(await this.desk.room.history(page));
      if (!first && this.#more.hidden) this.#days.lastElementChild?.querySelector("li")?.focus();
    } catch (error) {
      const trouble = `The history could not be loaded. ${error.message}`;
      setText(this.#told, navigator.onLine ? trouble : OFFLINE);
      this.#failed = true;
      this.#told.dataset.kind = "failed";
      setText(this.#more, "Try again");
      this.#more.hidden = false;
    } finally {
      this.#loading = false;
      this.#waiting.hidden = true;
      this.#more.removeAttribute("aria-disabled");
    }
    this.#showNews();
  }

  #start() {
    this.#loading = true;
    this.#failed = false;
    this.#more.setAttribute("aria-disabled", "true");
    delete this.#told.dataset.kind;
    const first = this.#oldest === null;
    setText(this.#told, first ? "Loading…" : "");
    this.#waiting.hidden = !first;
    if (first) this.#more.hidden = true;
  }

  #showPage({ ops, more }) {
    for (const { op } of ops) {
      for (const item of op.items ?? []) this.desk.app.knowLine(item.line, item.name);
    }
    for (const entry of ops.toReversed()) this.#append(entry);
    this.#rows += ops.length;
    this.#newest = Math.max(this.#newest, ops.at(-1)?.rev ?? 0);
    this.#oldest = ops[0]?.rev ?? this.#oldest;
    this.#more.hidden = !more;
    setText(this.#more, "Earlier changes");
    setText(this.#told, "");
  }

  #showNews() {
    for (const entry of this.#heard.splice(0)) {
      if (entry.rev <= this.#newest) continue;
      this.#newest = entry.rev;
      this.#prepend(entry);
      this.#rows += 1;
    }
    while (this.#rows > ROWS_MAX) this.#dropOldest();
  }

  #append(entry) {
    const date = new Date(entry.at);
    let day = this.#days.lastElementChild;
    if (day?.dataset.day !== date.toDateString()) {
      day = daySection(date);
      this.#days.append(day);
    }
    day.lastElementChild.append(this.#row(entry, date));
  }

  #prepend(entry) {
    const date = new Date(entry.at);
    let day = this.#days.firstElementChild;
    if (day?.dataset.day !== date.toDateString()) {
      day = daySection(date);
      this.#days.prepend(day);
    }
    day.lastElementChild.prepend(this.#row(entry, date));
  }

  #dropOldest() {
    const list = this.#days.lastElementChild.lastElementChild;
    list.lastElementChild.remove();
    if (!list.children.length) this.#days.lastElementChild.remove();
    this.#rows -= 1;
    this.#oldest = Number(this.#days.lastElementChild.lastElementChild.lastElementChild.dataset.rev);
    this.#more.hidden = false;
  }

  #row(entry, date) {
    const { desk } = this;
    const who = desk.person(entry.by);
    const missed = desk.missed.has(entry);
    const text = ` ${deed(entry.op, entry.by, desk.app.names)}`;
    return h(
      missed ? "li.deed.missed" : "li.deed",
      { "data-rev": String(entry.rev), tabindex: "-1" },
      avatar(entry.by, who),
      h("p", {}, h("strong", {}, who), text),
      h("time", { datetime: entry.at }, timeOfDay(date)),
      missed && h("span.badge.missed-mark", {}, "While you were away"),
    );
  }
}

define("cart-history", CartHistory);
