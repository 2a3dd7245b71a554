/** People of the service, made by REST, and carts looked at without the library. */

import assert from "node:assert/strict";
import { WebSocket } from "ws";

import { PASSWORD } from "../../browser/server.mjs";

const TOKEN_GOOD_MS = 300_000;
const REPLY_MS = 240_000;
/** The service closes sockets that are silent for 50 s. */
const PING_MS = 20_000;

/** Somebody with an account: `{id, name, email, token()}`. */
export async function makePerson(server, name) {
  const email = `${name.toLowerCase()}.${crypto.randomUUID()}@shop.example`;
  const post = async (path, fields) => {
    const response = await fetch(`${server.url}/api/v1/auth/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ email, password: PASSWORD, ...fields }),
    });
    const answer = await response.json();
    assert.ok(response.ok, JSON.stringify(answer));
    return answer;
  };
  let { user, access_token: token } = await post("register", { name });
  let since = Date.now();
  return {
    id: user.id,
    name,
    email,
    async token() {
      if (Date.now() - since > TOKEN_GOOD_MS) {
        ({ access_token: token } = await post("login", {}));
        since = Date.now();
      }
      return token;
    },
  };
}

/** The socket of a service at `url`. */
export function socketOf(url) {
  return `${url.replace("http", "ws")}/ws`;
}

/** A connection by hand: nothing of the library is used, nothing is between it and the service. */
export class Witness {
  /** How long the service took for the slowest answer. */
  slowestMs = 0;
  #socket;
  #pinging;
  #waiting = new Map();
  #lastId = 0;

  static async arrive(server, person) {
    const witness = new Witness();
    const socket = new WebSocket(socketOf(server.url), ["cartroom.v1"]);
    witness.#socket = socket;
    await new Promise((resolve, reject) => {
      socket.on("open", resolve);
      socket.on("error", reject);
    });
    socket.on("message", (data) => witness.#receive(JSON.parse(data.toString())));
    socket.on("close", (code) => witness.#closed(code));
    await witness.ask("hello", { client: crypto.randomUUID(), token: await person.token() });
    witness.#pinging = setInterval(() => witness.#send(0, "ping"), PING_MS);
    return witness;
  }

  /** The reply, be it `ok` or an `error`. */
  async ask(type, fields) {
    const id = ++this.#lastId;
    const asked = performance.now();
    const reply = await new Promise((resolve, reject) => {
      const late = () => reject(new Error(`no reply to ${type} within ${REPLY_MS} ms`));
      this.#waiting.set(id, { resolve, reject, timer: setTimeout(late, REPLY_MS) });
      this.#send(id, type, fields);
    });
    this.slowestMs = Math.max(this.slowestMs, performance.now() - asked);
    return reply;
  }

  /** All entries of a cart's history, ascending. */
  async history(cart) {
    const entries = [];
    for (let before; ; before = entries[0].rev) {
      const page = await this.ask("cart.history", { cart, limit: 500, ...(before && { before }) });
      assert.equal(page.type, "ok", JSON.stringify(page));
      entries.unshift(...page.ops);
      if (!page.more) return entries;
    }
  }

  leave() {
    clearInterval(this.#pinging);
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    this.#socket.close(1000);
  }

  #send(id, type, fields = {}) {
    this.#socket.send(JSON.stringify({ id, type, ...fields }));
  }

  #closed(code) {
    clearInterval(this.#pinging);
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Error(`the socket of who looks on was closed with ${code}`));
    }
    this.#waiting.clear();
  }

  #receive(message) {
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    waiting.resolve(message);
  }
}
