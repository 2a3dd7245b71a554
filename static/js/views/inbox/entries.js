/** What is in the inbox, as far as it has been asked for, kept fresh by what the service tells. */

import { Emitter } from "../../../sdk/emitter.js";

const PAGE = 30;

function latestFirst(one, other) {
  return one.at < other.at ? 1 : one.at > other.at ? -1 : one.id < other.id ? 1 : -1;
}

/**
 * Events: `change`. `rows` are notifications, the latest first; `status` is loading (nothing is
 * known yet), ready or failed, with `error`; `more`, whether there are more to ask for.
 */
export class Entries extends Emitter {
  rows = [];
  status = "loading";
  error = null;

  #client;
  #unread;
  #cursor = null;
  #asking = null;
  #stops;
  /** Those that are being marked as read. */
  #reading = new Set();

  /** `unread` is the page's count. */
  constructor(client, unread) {
    super();
    this.#client = client;
    this.#unread = unread;
    this.#stops = [
      client.on("live", () => this.status !== "loading" && this.refresh()),
      client.on("notification", (news) => news.kind === "inbox" && this.#hear(news)),
    ];
    this.refresh();
  }

  stop() {
    this.#stops.splice(0).forEach((stop) => stop());
  }

  get more() {
    return this.#cursor !== null;
  }

  /** Ask for all that is known anew. */
  refresh() {
    return this.#next(() => this.#askAnew());
  }

  /** Ask for the next page. */
  next() {
    return this.#next(() => this.#askMore());
  }

  /** Mark as read, without `ids` all; shown at once. Rejects where it couldn't be done. */
  async read(ids) {
    const marked = this.rows.filter(({ id, read }) => !read && (!ids || ids.includes(id)));
    this.#mark(marked, true);
    for (const { id } of marked) this.#reading.add(id);
    try {
      this.#unread.set(await this.#client.readNotifications(ids));
    } catch (error) {
      this.#mark(marked, false);
      throw error;
    } finally {
      for (const { id } of marked) this.#reading.delete(id);
    }
  }

  #mark(marked, read) {
    const ids = new Set(marked.map(({ id }) => id));
    this.rows = this.rows.map((row) => (ids.has(row.id) ? { ...row, read } : row));
    this.emit("change");
  }

  #hear({ unread, notification }) {
    if (notification) this.#take([notification]);
    else if (unread === 0) this.#mark(this.rows, true);
    else this.refresh(); // Something was read elsewhere.
  }

  /** One after the other: what is asked twice at once would come in any order. */
  #next(act) {
    const before = this.#asking;
    const asking = (async () => {
      await before;
      try {
        await act();
        this.status = "ready";
        this.error = null;
      } catch (error) {
        this.status = this.rows.length ? "ready" : "failed";
        this.error = error;
      }
      this.emit("change");
    })();
    this.#asking = asking;
    return asking;
  }

  async #askAnew() {
    const wanted = Math.max(PAGE, this.rows.length);
    const fresh = [];
    let cursor;
    do {
      const page = await this.#client.notifications({ limit: PAGE, cursor });
      fresh.push(...page.notifications);
      ({ cursor } = page);
      this.#unread.set(page.unread);
    } while (cursor && fresh.length < wanted);
    this.rows = [];
    this.#cursor = cursor ?? null;
    this.#take(fresh);
  }

  async #askMore() {
    if (!this.more) return;
    const page = await this.#client.notifications({ limit: PAGE, cursor: this.#cursor });
    this.#cursor = page.cursor ?? null;
    this.#unread.set(page.unread);
    this.#take(page.notifications);
  }

  #take(fresh) {
    const known = new Map(this.rows.map((row) => [row.id, row]));
    for (const row of fresh) {
      const before = known.get(row.id);
      if (before && before.last_rev > row.last_rev) continue; // Told out of order.
      known.set(row.id, this.#reading.has(row.id) ? { ...row, read: true } : row);
    }
    this.rows = [...known.values()].sort(latestFirst);
    this.emit("change");
  }
}
