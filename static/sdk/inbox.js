/** The inbox as it was last known, kept in the store soon after it changes, and followed as it does. */

/** Entries that are kept, the latest of them. */
export const ENTRIES_MAX = 50;
/** What isn't all of the inbox is worth keeping from so many entries on. */
const PART_MIN = 10;

function latestFirst(one, other) {
  return one.at < other.at ? 1 : one.at > other.at ? -1 : one.id < other.id ? 1 : -1;
}

export class InboxCopy {
  #keeper;
  #timings;
  /** `{user, notifications, unread, version, at}`, or null as long as nothing is known. */
  #copy = null;
  #timer = null;
  #keeps = true;

  constructor(keeper, timings) {
    this.#keeper = keeper;
    this.#timings = timings;
  }

  /** What is known of this user's inbox, from before if nothing is from now; or null. */
  async load(user) {
    if (this.#copy?.user !== user) {
      const kept = await this.#keeper.loadInbox(user);
      if (this.#copy?.user !== user) this.#copy = kept;
    }
    return this.#copy?.user === user ? this.#copy : null;
  }

  /** The service has told the latest entries, `page`, or all. */
  asked(user, { notifications, unread, version, cursor }) {
    const known = this.#copy?.user === user ? this.#copy : null;
    const isPart = cursor !== undefined && notifications.length < ENTRIES_MAX;
    const same = known?.version === version;
    if (same && isPart && notifications.length < known.notifications.length) {
      this.#take({ ...known }); // It is still as it was.
    } else if (!isPart || notifications.length >= PART_MIN) {
      this.#take({ user, notifications, unread, version });
    }
  }

  /** The service has told what has changed. What can't be followed is as it was before. */
  told(user, { notification, read, unread, version }) {
    const known = this.#copy;
    if (known?.user !== user || version !== known.version + 1) return;
    if (!notification && !read.length) return;
    const done = new Set(read);
    const others = known.notifications.filter(({ id }) => id !== notification?.id);
    const marked = others.map((one) => (done.has(one.id) ? { ...one, read: true } : one));
    const notifications = notification ? [notification, ...marked] : marked;
    this.#take({ user, notifications: notifications.sort(latestFirst), unread, version });
  }

  /** Keep now what has changed. */
  async flush() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    await this.#keeper.saveInbox(this.#copy);
  }

  /** Nothing of it is kept, nor of what is told until `goOn`. */
  drop() {
    this.#keeps = false;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#copy = null;
  }

  goOn() {
    this.#keeps = true;
    this.#copy = null;
  }

  #take(copy) {
    if (!this.#keeps) return;
    const notifications = copy.notifications.slice(0, ENTRIES_MAX);
    this.#copy = { ...copy, notifications, at: Date.now() };
    this.#timer ??= setTimeout(() => this.flush(), this.#timings.keep_after_ms);
  }
}
