/** What is in the inbox, as far as it has been asked for, kept fresh by what the service tells. */

import { Emitter } from "../../../sdk/emitter.js";
import { debounce } from "../../app/dom.js";

const PAGE = 30;
/** The service keeps no more, and gives as many at once. */
const KEPT_MAX = 200;
const ASK_AFTER_MS = 100;

function latestFirst(one, other) {
  return one.at < other.at ? 1 : one.at > other.at ? -1 : one.id < other.id ? 1 : -1;
}

/**
 * Events: `change`. `rows` are notifications, the latest first; `status` is loading (the service
 * hasn't answered yet), ready or failed, with `error`; `more`, whether there are more to ask for.
 * `asOf` is null, or after `recall` tells of when `rows` are, in ms since the epoch.
 */
export class Entries extends Emitter {
  rows = [];
  status = "loading";
  error = null;
  asOf = null;

  #client;
  #unread;
  #cursor = null;
  /** Of the inbox, as far as `rows` show it. */
  #version = -1;
  #recalled = false;
  /** What has been asked or told is taken in one after the other. */
  #turn = Promise.resolve();
  #stops;
  /** Those that are being marked as read. */
  #reading = new Set();
  #refreshSoon = debounce(() => this.refresh(), ASK_AFTER_MS);

  /** `unread` is the page's count. */
  constructor(client, unread) {
    super();
    this.#client = client;
    this.#unread = unread;
    this.#stops = [
      client.on("live", () => this.status !== "loading" && this.refresh()),
      client.on("notification", (news) => {
        if (news.kind === "inbox") this.#next(() => this.#hear(news));
      }),
    ];
    this.refresh();
  }

  stop() {
    this.#refreshSoon.cancel();
    this.#stops.splice(0).forEach((stop) => stop());
  }

  get more() {
    return this.#cursor !== null;
  }

  /** Ask for all that is known anew. */
  refresh() {
    return this.#next(() => this.#ask(() => this.#askAnew()));
  }

  /** Ask for the next page. */
  next() {
    return this.#next(() => this.#ask(() => this.#askMore()));
  }

  /** Mark as read, without `ids` all; shown at once. Rejects where it couldn't be done. */
  async read(ids) {
    const marked = this.rows.filter(({ id, read }) => !read && (!ids || ids.includes(id)));
    for (const { id } of marked) this.#reading.add(id);
    this.emit("change");
    try {
      const told = await this.#client.readNotifications(ids);
      this.#unread.take(told);
      const done = marked.map(({ id }) => id);
      await this.#next(() => {
        this.#markRead(done);
        this.#hear({ ...told, read: done });
      });
    } finally {
      for (const { id } of marked) this.#reading.delete(id);
      this.emit("change");
    }
  }

  /** Whether it is read, or about to be. */
  isRead({ id, read }) {
    return read || this.#reading.has(id);
  }

  /** The service can't be asked: until it has been, show what is known from before. */
  async recall() {
    if (this.#recalled || this.#version >= 0) return;
    this.#recalled = true;
    const kept = await this.#client.keptNotifications();
    if (!kept || this.#version >= 0) return; // The service was quicker.
    this.rows = kept.notifications;
    this.asOf = kept.at;
    this.emit("change");
  }

  #next(act) {
    this.#turn = this.#turn.then(act);
    return this.#turn;
  }

  /** The inbox has changed. Where we can't follow how, it is asked for. */
  #hear({ version, notification = null, read }) {
    if (version <= this.#version || this.status !== "ready") return;
    if (version > this.#version + 1 || !(notification || read.length)) {
      this.#refreshSoon();
      return;
    }
    this.#version = version;
    this.#markRead(read);
    this.#take(notification ? [notification] : []);
  }

  #markRead(ids) {
    const done = new Set(ids);
    this.rows = this.rows.map((row) => (done.has(row.id) ? { ...row, read: true } : row));
  }

  async #ask(ask) {
    try {
      await ask();
      this.status = "ready";
      this.error = null;
    } catch (error) {
      this.status = this.rows.length ? "ready" : "failed";
      this.error = error;
    }
    this.emit("change");
  }

  async #askAnew() {
    const limit = Math.min(KEPT_MAX, Math.max(PAGE, this.rows.length));
    const page = await this.#client.notifications({ limit });
    this.rows = [];
    this.asOf = null;
    this.#version = page.version;
    this.#takePage(page);
  }

  async #askMore() {
    if (!this.more) return;
    const page = await this.#client.notifications({ limit: PAGE, cursor: this.#cursor });
    this.#takePage(page);
    // What changed meanwhile may be further up.
    if (page.version !== this.#version) this.#refreshSoon();
  }

  #takePage(page) {
    this.#cursor = page.cursor ?? null;
    this.#unread.take(page);
    this.#take(page.notifications);
  }

  #take(fresh) {
    const known = new Map(this.rows.map((row) => [row.id, row]));
    for (const row of fresh) known.set(row.id, row);
    this.rows = [...known.values()].sort(latestFirst);
    this.emit("change");
  }
}
