/** Carts as they were last seen, kept in the store soon after they change. */

export class Snapshots {
  #keeper;
  #timings;
  #rooms = new Set();
  #timer = null;
  #keeps = true;

  constructor(keeper, timings) {
    this.#keeper = keeper;
    this.#timings = timings;
  }

  load(user, cart) {
    return this.#keeper.loadRoom(user, cart);
  }

  /** Keep `room.snapshot` before long. */
  keepSoon(room) {
    if (!this.#keeps) return;
    this.#rooms.add(room);
    this.#timer ??= setTimeout(() => this.flush(), this.#timings.keep_after_ms);
  }

  /** Keep now what has changed. */
  async flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const rooms = [...this.#rooms];
    this.#rooms.clear();
    const snapshots = rooms.map((room) => room.snapshot).filter(Boolean);
    await Promise.all(snapshots.map((snapshot) => this.#keeper.saveRoom(snapshot)));
  }

  /** The cart isn't ours to see any more. */
  remove(user, room) {
    this.#rooms.delete(room);
    return this.#keeper.removeRoom(user, room.cart);
  }

  /** Nothing is kept of what waits, nor of what comes until `goOn`. */
  drop() {
    this.#keeps = false;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#rooms.clear();
  }

  goOn() {
    this.#keeps = true;
  }
}
