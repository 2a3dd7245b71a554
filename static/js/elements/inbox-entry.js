/** A notification in the inbox: who did what, in which cart, when; the way there, and to be done with it. */

import { h, icon, setText } from "../app/dom.js";
import { inLocale } from "../app/locale.js";
import { notified } from "../app/notified.js";
import { timeOfDay } from "../app/time.js";
import { define, Element } from "./element.js";
import { avatar } from "./user-avatar.js";

const inFull = inLocale(
  (locale) => new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" }),
);

/** `<inbox-entry>` with `entry`, a notification. Tells `read` when it is to be, with `marked`, or `opened`. */
export class InboxEntry extends Element {
  #entry = null;
  #parts = null;

  get entry() {
    return this.#entry;
  }

  set entry(entry) {
    this.#entry = entry;
    if (this.#parts) this.#show();
  }

  build() {
    const { by, cart } = this.#entry;
    const { who, leads } = notified(this.#entry);
    const parts = {
      unread: h("span.unseen", {}, "Unread: "),
      who: h("strong", {}),
      what: h("span", {}),
      lines: h("span.entry-lines", {}),
      cart: h("span.entry-cart", {}),
      time: h("time", {}),
    };
    const told = h("span.entry-told", {}, parts.unread, parts.who, " ", parts.what);
    const where = h("span.entry-facts", {}, parts.cart, parts.time);
    const opened = () => this.#done("opened");
    const marked = () => this.#done("marked");
    const text = leads
      ? h("a.entry-text", { href: `#/cart/${cart}`, onclick: opened }, told, parts.lines, where)
      : h("div.entry-text", {}, told, parts.lines, where);
    parts.done = h("button.icon-button", { type: "button", onclick: marked }, icon("check"));
    this.#parts = parts;
    this.append(avatar(by?.user ?? "", who), text, parts.done);
    this.#show();
  }

  #done(how) {
    if (!this.#entry.read) this.tell("read", how);
  }

  #show() {
    const { read, at } = this.#entry;
    const { who, what, cart, lines } = notified(this.#entry);
    const parts = this.#parts;
    this.classList.toggle("is-unread", !read);
    parts.unread.hidden = read;
    setText(parts.who, who);
    setText(parts.what, what);
    setText(parts.lines, lines);
    parts.lines.hidden = !lines;
    setText(parts.cart, cart);
    const date = new Date(at);
    setText(parts.time, timeOfDay(date));
    parts.time.dateTime = at;
    parts.time.title = inFull().format(date);
    // The focus isn't thrown away with the button that had it.
    const had = parts.done === document.activeElement;
    parts.done.hidden = read;
    if (had && read) this.querySelector("a")?.focus();
    const label = `Mark as read: ${who} ${what}, ${cart}`;
    parts.done.setAttribute("aria-label", label);
    parts.done.title = "Mark as read";
  }
}

define("inbox-entry", InboxEntry);
