/** The way to the inbox, with the number of notifications that are unread. */

import { h, icon, setText } from "../app/dom.js";
import { define, Element } from "./element.js";
import { say } from "./toasts.js";

const SHOWN_MAX = 99;
/** What comes in quick succession is told once … */
const SETTLED_MS = 2_000;
/** … and not again for so long. */
const REST_MS = 60_000;

/** "Inbox", "Inbox, 3 unread". */
export function bellName(count) {
  return count ? `Inbox, ${count} unread` : "Inbox";
}

/**
 * `<notification-bell>` with `unread`, an `Unread`. Screen readers hear when there is more than
 * before, but not of every single notification, and only in the tab that somebody looks at.
 */
export class NotificationBell extends Element {
  unread = null;
  #link;
  #count = h("span.bell-count", { "aria-hidden": "true", hidden: true });
  #name = h("span.unseen", {});
  /** How many there were when it was told last; null: it isn't known yet. */
  #told = null;
  #restUntil = 0;
  #timer = null;

  build() {
    this.#link = h("a.bell", { href: "#/inbox" }, icon("bell"), this.#count, this.#name);
    this.append(this.#link);
  }

  connected() {
    this.follow(this.unread, "change", (wasTold) => this.#show(wasTold));
    this.until(() => clearTimeout(this.#timer));
    this.#show();
  }

  #show(wasTold = false) {
    const { count } = this.unread;
    const name = bellName(count);
    this.#count.hidden = !count;
    setText(this.#count, count > SHOWN_MAX ? `${SHOWN_MAX}+` : String(count ?? ""));
    setText(this.#name, name);
    if (this.#link.title !== name) this.#link.title = name;
    if (count === null) return;
    // What was there at first, and what somebody reads, is nothing to be told.
    if (this.#told === null || count < this.#told) this.#told = count;
    else if (wasTold) this.#told += 1;
    if (count > this.#told) this.#tellSoon();
  }

  #tellSoon() {
    clearTimeout(this.#timer);
    const waitMs = Math.max(SETTLED_MS, this.#restUntil - Date.now());
    this.#timer = setTimeout(() => this.#tell(), waitMs);
  }

  #tell() {
    const { count } = this.unread;
    if (count <= this.#told) return;
    this.#told = count;
    this.#restUntil = Date.now() + REST_MS;
    if (document.hidden) return;
    say(count === 1 ? "You have 1 unread notification." : `You have ${count} unread notifications.`);
  }
}

define("notification-bell", NotificationBell);
