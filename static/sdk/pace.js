/**
 * Keeps a socket's requests below the service's rate limit: the first go at once, the others when
 * their turn comes, in the order in which they asked.
 */

/** We stay below what the service allows, as it counts the other requests, too. */
const SHARE = 0.8;

export class Pace {
  #perMs = Infinity;
  #burst = Infinity;
  #left = Infinity;
  #countedAt = 0;
  #queue = [];
  #timer = null;

  /** A new socket, with the limits of its `welcome`. */
  begin({ ops_per_s = Infinity, ops_burst = Infinity } = {}) {
    this.#perMs = (SHARE * ops_per_s) / 1000;
    this.#burst = Math.max(1, Math.floor(SHARE * ops_burst));
    this.#left = this.#burst;
    this.#countedAt = Date.now();
    this.#flow();
  }

  /** The socket is gone: who waits may go on, and finds out. */
  end() {
    clearTimeout(this.#timer);
    this.#left = Infinity;
    this.#burst = Infinity;
    this.#flow();
  }

  /** Resolves when one more request may be sent. */
  turn() {
    return new Promise((resolve) => {
      this.#queue.push(resolve);
      this.#flow();
    });
  }

  #flow() {
    clearTimeout(this.#timer);
    const now = Date.now();
    if (this.#burst !== Infinity) {
      const gained = Math.max(0, now - this.#countedAt) * this.#perMs;
      this.#left = Math.min(this.#burst, this.#left + gained);
    }
    this.#countedAt = now;
    while (this.#queue.length && this.#left >= 1) {
      this.#left -= 1;
      this.#queue.shift()();
    }
    if (!this.#queue.length) return;
    const waitMs = Math.ceil((1 - this.#left) / this.#perMs);
    this.#timer = setTimeout(() => this.#flow(), Math.max(1, waitMs));
  }
}
