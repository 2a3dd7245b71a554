/** How many notifications are unread: asked at each connection, told by the service from then on. */

import { Emitter } from "../../sdk/emitter.js";

/**
 * Events: `change`, with true where what came has been told before: that somebody has let us in is
 * news of its own. `count` is null while it isn't known.
 */
export class Unread extends Emitter {
  count = null;
  #client;
  #stops;
  /** Raised by all that is told, so that an answer on its way isn't taken for newer. */
  #turn = 0;

  constructor(client) {
    super();
    this.#client = client;
    this.#stops = [
      client.on("live", () => this.#ask()),
      client.on("notification", (news) => news.kind === "inbox" && this.#hear(news)),
    ];
  }

  stop() {
    this.#stops.splice(0).forEach((stop) => stop());
  }

  /** The service has said so. */
  set(count, wasTold = false) {
    this.#turn += 1;
    if (count === this.count) return;
    this.count = count;
    this.emit("change", wasTold);
  }

  #hear({ unread, notification }) {
    this.set(unread, notification?.kind === "shared");
  }

  async #ask() {
    this.#turn += 1;
    const mine = this.#turn;
    try {
      const { unread } = await this.#client.notifications({ limit: 1 });
      if (mine === this.#turn) this.set(unread);
    } catch (error) {
      if (error.code !== "disconnected") console.warn("The inbox could not be asked", error);
    }
  }
}
