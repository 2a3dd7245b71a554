/**
 * One WebSocket to the service, kept alive: hello, heartbeat, requests and their replies, a fresh
 * token before the last one ends, and reconnecting as the close codes say. It knows nothing of
 * carts, and nothing of a page.
 *
 * Events: `status` ({status, retryAt}), `live` (the welcome), `push` (a message without id),
 * `refused` (a CartroomError: signed out, or the token is not valid; it stays stopped).
 */

import { Emitter } from "./emitter.js";
import { CartroomError } from "./errors.js";
import { Pace } from "./pace.js";
import { TIMINGS } from "./timings.js";

const SUBPROTOCOL = "cartroom.v1";
/** What a timer takes is limited, and a browser's session is prolonged by being used. */
const RENEW_AFTER_MAX_MS = 86_400_000;
/** Requests that wait for a reply at one time. */
const REQUESTS_MAX = 256;

const RECONNECT_CODES = new Set([1001, 1005, 1006, 1011, 1012, 1013]);
const CLOSED_HEARTBEAT_MISSED = 4000;
const CLOSED_UNAUTHORIZED = 4501;
const CLOSED_TOKEN_ENDED = 4502;
const CLOSED_SIGNED_OUT = 4503;

const SOCKET_OPEN = 1;

function reconnects(code) {
  // With a fresh token, that is, once the last one has ended.
  const token = code === CLOSED_TOKEN_ENDED;
  return RECONNECT_CODES.has(code) || (code >= 4000 && code < 4500) || token;
}

export class Connection extends Emitter {
  /** stopped | connecting | live | waiting | failed */
  status = "stopped";
  /** The last `welcome`, or null before the first. */
  welcome = null;
  /** While waiting: when the next attempt is made, in ms since the epoch. */
  retryAt = null;

  #options;
  #timings;
  #pace = new Pace();
  #socket = null;
  #requests = new Map();
  #lastId = 0;
  #attempt = 0;
  #liveSince = 0;
  #retryAfterMs = 0;
  #retryTimer = null;
  #openTimer = null;
  #heartbeatTimer = null;
  #renewTimer = null;
  #dormant = false;

  /**
   * `{url, client: () => string, token: () => string|null, WebSocket?, random?, timings?}`. `client`
   * and `token` give our UUID and a token that is good for a while yet, or promises of them; no
   * token where a cookie says who we are. What they throw is taken for a failure on the way, but
   * for `unauthorized`: then somebody must sign in again.
   */
  constructor(options) {
    super();
    this.#options = { WebSocket: globalThis.WebSocket, random: Math.random, ...options };
    this.#timings = { ...TIMINGS, ...options.timings };
  }

  /** Connect, and stay connected until `stop`. */
  start() {
    if (this.status === "live" || this.status === "connecting") return;
    this.#attempt = 0;
    this.#open();
  }

  stop() {
    this.#setStatus("stopped");
    this.#drop(1000);
  }

  /** Something changed for the better (the network, the tab is looked at): try or probe now. */
  wake() {
    if (this.status === "waiting") this.#open();
    else if (this.status === "live") this.#ping(this.#timings.probe_timeout_ms);
  }

  /**
   * Whether nobody is looking. Browsers slow a hidden tab's timers until its heartbeat is missed;
   * connecting again every minute just to lose it would have others see us come and go.
   */
  set dormant(dormant) {
    this.#dormant = dormant;
    if (!dormant) this.wake();
  }

  /**
   * Send a request; its `ok` reply comes back. Rejects with a CartroomError: the service's, or
   * `disconnected` where none came. A reply that is late ends the connection, as it is likely dead.
   */
  request(type, fields = {}, timeoutMs = this.#timings.reply_timeout_ms) {
    if (this.status !== "live") return Promise.reject(CartroomError.disconnected());
    return this.#send(type, fields, timeoutMs);
  }

  /** The same once the service's rate limit allows it; for what comes in numbers. */
  async paced(type, fields) {
    await this.#pace.turn();
    return this.request(type, fields);
  }

  #send(type, fields, timeoutMs) {
    if (this.#requests.size >= REQUESTS_MAX) {
      const message = "Too many requests wait for an answer.";
      return Promise.reject(new CartroomError("rate_limited", message, { temporary: true }));
    }
    const id = ++this.#lastId;
    const frame = JSON.stringify({ id, type, ...fields });
    const limit = this.welcome?.limits?.frame_bytes;
    if (limit && new TextEncoder().encode(frame).length > limit) {
      return Promise.reject(new CartroomError("too_large", "That is too long to be sent."));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#lose(), timeoutMs);
      this.#requests.set(id, { resolve, reject, timer });
      // One that is closing takes nothing; its close answers, or else the time limit.
      if (this.#socket.readyState === SOCKET_OPEN) this.#socket.send(frame);
    });
  }

  #open() {
    clearTimeout(this.#retryTimer);
    this.retryAt = null;
    this.#retryAfterMs = 0;
    const socket = new this.#options.WebSocket(this.#options.url, [SUBPROTOCOL]);
    this.#socket = socket;
    this.#openTimer = setTimeout(() => this.#lose(), this.#timings.open_timeout_ms);
    // A socket that we gave up may still report: only the present one is listened to.
    const ours = (handle) => (event) => this.#socket === socket && handle(event);
    socket.onopen = ours(() => this.#hello());
    socket.onmessage = ours((event) => this.#receive(event.data));
    // Its close tells all. A socket that is no browser's throws errors that nobody listens for.
    socket.onerror = () => {};
    socket.onclose = ours((event) => this.#closed(event.code, event.reason));
    this.#setStatus("connecting");
  }

  async #hello() {
    const socket = this.#socket;
    try {
      const [client, token] = await Promise.all([this.#options.client(), this.#options.token()]);
      if (this.#socket !== socket) return; // lost meanwhile
      const fields = { client, ...(token ? { token } : {}) };
      const welcome = await this.#send("hello", fields, this.#timings.reply_timeout_ms);
      clearTimeout(this.#openTimer);
      this.welcome = welcome;
      this.#pace.begin(welcome.limits);
      this.#liveSince = Date.now();
      const everyMs = Math.max(1, welcome.heartbeat_s) * 900;
      clearInterval(this.#heartbeatTimer);
      this.#heartbeatTimer = setInterval(() => this.#ping(this.#timings.reply_timeout_ms), everyMs);
      this.#renewBefore(welcome.expires_at);
      this.#setStatus("live");
      this.emit("live", welcome);
    } catch (error) {
      if (this.#socket !== socket) return;
      // Lost on the way: the close that came with it decides. Refused: a close may not follow.
      if (error.code === "unauthorized") this.#refuse(error);
      else if (error.code !== "disconnected") this.#lose();
    }
  }

  #renewBefore(expiresAt) {
    clearTimeout(this.#renewTimer);
    const leftMs = Date.parse(expiresAt) - Date.now();
    if (Number.isNaN(leftMs)) return; // it has no end
    const afterMs = Math.max(leftMs - this.#timings.renew_before_ms, (leftMs * 2) / 3, this.#timings.renew_pause_ms);
    this.#renewTimer = setTimeout(() => this.#renew(), Math.min(afterMs, RENEW_AFTER_MAX_MS));
  }

  async #renew() {
    const socket = this.#socket;
    try {
      const token = await this.#options.token();
      if (this.#socket !== socket) return;
      const { expires_at } = await this.request("auth.renew", token ? { token } : {});
      this.#renewBefore(expires_at);
    } catch (error) {
      if (this.#socket !== socket) return;
      // If it comes to nothing the service closes in the end, and a fresh start decides.
      console.warn("The token could not be renewed", error);
      this.#renewTimer = setTimeout(() => this.#renew(), this.#timings.renew_pause_ms);
    }
  }

  #ping(timeoutMs) {
    // Its failure shows as a lost connection, which is handled there.
    this.request("ping", {}, timeoutMs).catch((error) => {
      if (!error.temporary) console.error("The ping was refused", error);
    });
  }

  #receive(data) {
    const message = JSON.parse(data);
    if (message.id === undefined || message.id === null) {
      if (message.type === "goodbye") this.#retryAfterMs = 1000 * (message.retry_after_s ?? 0);
      else if (message.type === "error") console.error("The service refused a frame", message);
      else this.emit("push", message);
      return;
    }
    const request = this.#requests.get(message.id);
    if (!request) return;
    this.#requests.delete(message.id);
    clearTimeout(request.timer);
    if (message.type === "error") request.reject(CartroomError.fromReply(message));
    else request.resolve(message);
  }

  /** Give the socket up without waiting for a close that may never come. */
  #lose() {
    this.#drop(4000);
    if (this.status !== "stopped" && this.status !== "failed") this.#retryLater();
  }

  #closed(code, reason) {
    this.#drop(null);
    if (this.status === "stopped" || this.status === "failed") return;
    if (code === CLOSED_UNAUTHORIZED || code === CLOSED_SIGNED_OUT) {
      this.#refuse(new CartroomError("unauthorized", "Please sign in again."));
    } else if (!reconnects(code)) {
      console.error(`The service closed the connection for good: ${code} ${reason}`);
      this.#setStatus("failed");
    } else if (code === CLOSED_HEARTBEAT_MISSED && this.#dormant) {
      this.#setStatus("waiting");
    } else {
      this.#retryLater();
    }
  }

  #refuse(error) {
    this.#setStatus("stopped");
    this.#drop(1000);
    this.emit("refused", error);
  }

  /** Exponential backoff with full jitter, on top of what `goodbye` asked for. */
  #retryLater() {
    if (this.#liveSince && Date.now() - this.#liveSince > this.#timings.stable_ms) this.#attempt = 0;
    this.#liveSince = 0;
    const ceiling = Math.min(this.#timings.backoff_max_ms, this.#timings.backoff_base_ms * 2 ** this.#attempt);
    const delay = this.#retryAfterMs + this.#options.random() * ceiling;
    this.#attempt = Math.min(this.#attempt + 1, 16);
    this.retryAt = Date.now() + delay;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#open(), delay);
    this.#setStatus("waiting");
  }

  /** Forget the socket and answer every open request; `code` null: it is closed already. */
  #drop(code) {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#openTimer);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#renewTimer);
    clearInterval(this.#heartbeatTimer);
    if (socket && code !== null) {
      if (socket.readyState <= SOCKET_OPEN) socket.close(code);
    }
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const request of requests) {
      clearTimeout(request.timer);
      request.reject(CartroomError.disconnected());
    }
    this.#pace.end();
  }

  #setStatus(status) {
    this.status = status;
    this.emit("status", { status, retryAt: this.retryAt });
  }
}
