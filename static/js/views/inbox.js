/** The inbox: what others did in one's carts meanwhile, by days, newest first, live. */

import { h, icon, keyed, setText } from "../app/dom.js";
import { day, dayTitle, timeOfDay } from "../app/time.js";
import { define, Element } from "../elements/element.js";
import "../elements/inbox-entry.js";
import "../elements/loading-card.js";
import { errorCard } from "../elements/message-card.js";
import { tell, tellError } from "../elements/toasts.js";
import { Entries } from "./inbox/entries.js";

const OFFLINE = "You are offline.";
const AWAY = "Not connected right now.";
const MARK_LATER = "Mark it as read once you are connected again.";

/** `[{key, date, entries}]` of what is sorted by time. */
function byDays(rows) {
  const days = [];
  for (const row of rows) {
    const date = new Date(row.at);
    const key = date.toDateString();
    if (days.at(-1)?.key !== key) days.push({ key, date, entries: [] });
    days.at(-1).entries.push(row);
  }
  return days;
}

/** Of when what is shown is, in a sentence; `at` null: nobody knows, but not long ago. */
function asOf(at) {
  if (at === null) return "This is what was here when you were last connected.";
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  const when = today ? `at ${timeOfDay(date)}` : `on ${day(date)} at ${timeOfDay(date)}`;
  return `This is what was here ${when}.`;
}

/** `<inbox-view>` */
class InboxView extends Element {
  app = null;
  desk = null;
  argument = null;
  #entries;
  #days = h("div.days", {});
  #views = new Map();
  #told = h("p.finder-status", { role: "status" });
  #count = h("span.count", {});
  #instead = h("div.inbox-instead", {});
  #shown = "";
  /** There is no connection, or none since what is shown was kept. */
  #lost = false;
  #readAll;
  #more;

  build() {
    const readAll = () => this.#read();
    this.#readAll = h("button.quiet", { type: "button", onclick: readAll }, icon("check"), "Mark all as read");
    this.#more = h("button.more", { type: "button", onclick: () => this.#goOn() }, "Earlier ones");
    this.append(
      h(
        "div.view-head",
        {},
        h("div.inbox-title", {}, h("h1", { tabindex: "-1" }, "Inbox"), this.#count),
        h("div.actions", {}, this.#readAll, this.#settings()),
      ),
      this.#told,
      this.#instead,
      this.#days,
      this.#more,
    );
  }

  connected() {
    const { client, unread } = this.app;
    const show = () => this.#show();
    this.#entries = new Entries(client, unread);
    this.until(() => this.#entries.stop());
    this.follow(this.#entries, "change", show);
    this.follow(unread, "change", show);
    this.follow(client, "status", show);
    for (const name of ["online", "offline"]) this.follow(window, name, show);
    show();
  }

  #settings() {
    if (this.app.user.guest) return null;
    const label = "Which mails you get";
    const props = { href: "#/account/mails", "aria-label": label, title: label };
    return h("a.button.icon-button", props, icon("settings"));
  }

  /** Mark as read, without `ids` all. Without a connection that can't be: it is said at once. */
  async #read(ids) {
    if (this.#lost) {
      tell(`${this.#trouble} ${MARK_LATER}`);
      return;
    }
    try {
      await this.#entries.read(ids);
    } catch (error) {
      tellError(error);
    }
  }

  async #goOn() {
    const last = this.#entries.rows.length;
    await this.#entries.next();
    if (this.#entries.error) tellError(this.#entries.error);
    else if (this.#more.hidden) this.querySelectorAll("inbox-entry")[last]?.querySelector("a")?.focus();
  }

  #show() {
    const { more } = this.#entries;
    const rows = this.#entries.rows.map((row) => ({ ...row, read: this.#entries.isRead(row) }));
    const { unread } = this.app;
    keyed(
      this.#days,
      this.#views,
      byDays(rows),
      ({ key }) => key,
      (each) => this.#day(each),
    );
    this.#more.hidden = !more;
    setText(this.#count, unread.count ? `${unread.count} unread` : "");
    const had = this.#readAll === document.activeElement;
    this.#readAll.hidden = !unread.count;
    if (had && this.#readAll.hidden) this.querySelector("h1").focus();
    this.#standIn(rows.length ? "" : this.#lack());
    this.#look();
    setText(this.#told, rows.length && this.#lost ? `${this.#trouble} ${asOf(this.#entries.asOf)}` : "");
  }

  /** Trying again is no connection yet: what is said of it stays until there is one. */
  #look() {
    const { status } = this.app.client;
    if (!navigator.onLine || (status !== "live" && status !== "connecting")) this.#lost = true;
    else if (status === "live" && this.#entries.asOf === null) this.#lost = false;
    if (this.#lost) this.#entries.recall();
  }

  get #trouble() {
    return navigator.onLine ? AWAY : OFFLINE;
  }

  /** Why there is nothing to show. */
  #lack() {
    const { status } = this.#entries;
    if (status === "ready") return "empty";
    return navigator.onLine ? status : "offline";
  }

  /** Made anew only when it is another: a button keeps its focus. */
  #standIn(lack) {
    const shown = `${lack} ${this.#entries.error?.message}`;
    if (this.#shown === shown) return;
    this.#shown = shown;
    const card = {
      "": () => [],
      loading: () => [h("loading-card", { heading: "Loading your inbox…", rows: 5, level: 2 })],
      empty: () => [emptyInbox()],
      offline: () => [offlineInbox()],
      failed: () => [this.#failed()],
    }[lack];
    this.#instead.replaceChildren(...card());
    this.#instead.hidden = !lack;
  }

  #failed() {
    const again = () => this.#entries.refresh();
    return errorCard("Your inbox could not be loaded", this.#entries.error.message, again);
  }

  #day({ key, date }) {
    const id = `inbox-${key.replaceAll(" ", "-")}`;
    const title = h("h2", { id });
    const list = h("ul.inbox-entries", { "aria-labelledby": id });
    const views = new Map();
    const update = ({ entries }) => {
      setText(title, dayTitle(date)); // Today is yesterday tomorrow.
      keyed(
        list,
        views,
        entries,
        (entry) => entry.id,
        (entry) => this.#entry(entry),
      );
    };
    return { element: h("section.inbox-day", {}, title, list), update };
  }

  #entry(entry) {
    // Who opens the cart has seen it, as soon as there is a connection.
    const onread = ({ detail }) => {
      if (detail === "marked" || !this.#lost) this.#read([entry.id]);
    };
    const element = h("inbox-entry", { entry, onread });
    return { element: h("li", {}, element), update: (fresh) => (element.entry = fresh) };
  }
}

function emptyInbox() {
  return h("message-card", {
    mark: "bell",
    heading: "Nothing here yet",
    text: "What others do in your carts while you aren't looking is told here.",
    actions: [h("a.button", { href: "#/carts" }, "My carts")],
  });
}

function offlineInbox() {
  return h("message-card", {
    kind: "wait",
    heading: "You are offline",
    text: "Your inbox will be here as soon as you are back.",
  });
}

define("inbox-view", InboxView);
