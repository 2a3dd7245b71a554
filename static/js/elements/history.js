/** What was done to the cart, newest first, page by page and live. */

import { deed } from "../app/describe.js";
import { h } from "../app/dom.js";
import { inLocale } from "../app/locale.js";
import { avatar } from "./user-avatar.js";

const PAGE = 50;

const sameDay = inLocale((locale) => new Intl.DateTimeFormat(locale, { timeStyle: "short" }));
const otherDay = inLocale(
  (locale) => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }),
);

function when(at) {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return h("time", { datetime: at }, (today ? sameDay() : otherDay()).format(date));
}

/**
 * The list of changes. `open` loads the newest page once, `hear` takes what happens from then on,
 * `reset` says that something may have been missed. `names` as in `describe`; `learn(line, name)`
 * is told lines' names.
 */
export class HistoryPart {
  #room;
  #names;
  #learn;
  #list = h("ol.history", { "aria-label": "Changes, newest first" });
  #told = h("p.finder-status", { role: "status" });
  #more = h("button.more", { type: "button", hidden: true, onclick: () => this.#load() });
  #opened = false;
  #loading = false;
  #oldest = null;
  #newest = 0;
  #heard = [];

  constructor(room, names, learn) {
    this.#room = room;
    this.#names = names;
    this.#learn = learn;
    this.element = h("div", {}, this.#told, this.#list, this.#more);
  }

  open() {
    if (this.#opened) return;
    this.#opened = true;
    this.#load();
  }

  hear(entry) {
    if (!this.#opened) return;
    this.#heard.push(entry);
    if (!this.#loading) this.#showNews();
  }

  reset() {
    if (!this.#opened || this.#loading) return;
    this.#oldest = null;
    this.#newest = 0;
    this.#heard = [];
    this.#list.replaceChildren();
    this.#load();
  }

  async #load() {
    if (this.#loading) return;
    this.#loading = true;
    this.#more.disabled = true;
    if (this.#oldest === null) this.#told.textContent = "Loading…";
    try {
      const before = this.#oldest ?? undefined;
      this.#showPage(await this.#room.history({ before, limit: PAGE }));
    } catch (error) {
      this.#told.textContent = error.message;
      this.#more.hidden = false;
      this.#more.textContent = "Try again";
    } finally {
      this.#loading = false;
      this.#more.disabled = false;
    }
    this.#showNews();
  }

  #showPage({ ops, more }) {
    for (const { op } of ops) for (const item of op.items ?? []) this.#learn(item.line, item.name);
    this.#list.append(...ops.map((entry) => this.#row(entry)).reverse());
    this.#newest = Math.max(this.#newest, ops.at(-1)?.rev ?? 0);
    this.#oldest = ops[0]?.rev ?? this.#oldest;
    this.#more.hidden = !more;
    this.#more.textContent = "Earlier changes";
    this.#told.textContent = "";
  }

  #showNews() {
    for (const entry of this.#heard.splice(0)) {
      if (entry.rev <= this.#newest) continue;
      this.#newest = entry.rev;
      this.#list.prepend(this.#row(entry));
    }
  }

  #row(entry) {
    const who = this.#names.person(entry.by) ?? "Somebody";
    return h(
      "li.deed",
      { "data-rev": String(entry.rev) },
      avatar(entry.by, who),
      h("p", {}, h("strong", {}, who), ` ${deed(entry.op, entry.by, this.#names)}`),
      when(entry.at),
    );
  }
}
