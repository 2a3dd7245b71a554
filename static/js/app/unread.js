/** How many notifications are unread: asked at each connection, told by the service from then on. */

import { Emitter } from "../../sdk/emitter.js";

/**
 * Events: `change`, with true where what came has been told before: that somebody has let us in is
 * news of its own. `count` is null while it isn't known.
 */
export class Unread extends Emitter {
  count = null;
  #client;
  #version = -1;
  #stops;

  constructor(client) {
    super();
    this.#client = client;
    this.#stops = [
      client.on("live", () => this.#ask()),
      client.on("notification", (news) => news.kind === "inbox" && this.take(news)),
    ];
  }

  stop() {
    this.#stops.splice(0).forEach((stop) => stop());
  }

  /** The service has said how the inbox is; what is older than what is known counts for nothing. */
  take({ unread, version, notification }) {
    if (version < this.#version) return;
    this.#version = version;
    if (unread === this.count) return;
    this.count = unread;
    this.emit("change", notification?.kind === "shared");
  }

  async #ask() {
    try {
      this.take(await this.#client.notifications({ limit: 1 }));
    } catch (error) {
      if (error.code !== "disconnected") console.warn("The inbox could not be asked", error);
    }
  }
}
