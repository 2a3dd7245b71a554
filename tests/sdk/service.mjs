/**
 * A service in memory that keeps the wire contract as far as the library's tests need it: one order
 * a cart, op_ids that count once, joins that resume, roles. What happens on the wire is in a test's
 * hands: `service.intercept` sees every frame. The real service has tests of its own.
 */

import { judge } from "../../static/sdk/judge.js";
import { applyOp } from "../../static/sdk/reducer.js";

export const PRODUCTS = new Map([
  ["MUG", { sku: "MUG", name: "Mug", unit_price: 1290, currency: "EUR", available: 500 }],
  ["BOWL", { sku: "BOWL", name: "Bowl", unit_price: 2450, currency: "EUR", available: 3 }],
  ["CARD", { sku: "CARD", name: "Card", unit_price: 250, currency: "EUR", available: null }],
]);
const LIMITS = { lines: 1000, members: 250, pieces: 100_000, items: 200, frame_bytes: 65_536 };
const DEADLINE_MS = 120_000;
/** A machine may stand still for a while; nobody takes that for a service or a store that is away. */
export const PATIENT = {
  reply_timeout_ms: DEADLINE_MS,
  open_timeout_ms: DEADLINE_MS,
  probe_timeout_ms: DEADLINE_MS,
  live_timeout_ms: DEADLINE_MS,
  store_timeout_ms: DEADLINE_MS,
  gap_patience_ms: DEADLINE_MS,
};
const EMPTY = { lines: 0, pieces: 0, subtotal: 0, total: 0 };

/** Let everything run that is ready to. */
export function turn() {
  return new Promise((resolve) => setImmediate(resolve));
}

export async function until(check, what = check) {
  const deadline = Date.now() + DEADLINE_MS;
  while (Date.now() < deadline) {
    if (check()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`It didn't come to: ${what}`);
}

export class Service {
  carts = new Map();
  /** Every `cart.op` that came, as `{user, op_id, cart, op}`. */
  received = [];
  isUp = true;
  limits = { ...LIMITS, ops_per_s: 1e6, ops_burst: 1e6 };
  /**
   * `(frame, {reply, user, drop, answerLater}) => reply`: what to answer instead; `undefined` answers
   * nothing.
   */
  intercept = (_frame, { reply }) => reply;

  #sockets = new Set();
  #numbers = new Map();
  #answers = new Map();

  makeCart(id, ...members) {
    const [owner, ...others] = members;
    const member = (user, role) => ({ user, name: user, role });
    const state = {
      ...{ name: "Cart", note: "", currency: "EUR", status: "open", lines: [], saved: [] },
      members: [member(owner, "owner"), ...others.map((user) => member(user, "editor"))],
      totals: EMPTY,
    };
    this.carts.set(id, { id, rev: 1, state, log: [], first: state });
    return this.carts.get(id);
  }

  /** A WebSocket class whose sockets are signed in as `user`. */
  socket(user) {
    const service = this;
    return class {
      readyState = 0;
      joined = new Set();

      constructor() {
        this.user = user;
        service.#sockets.add(this);
        setImmediate(() => {
          if (this.readyState !== 0) return;
          if (!service.isUp) return this.end(1006);
          this.readyState = 1;
          this.onopen?.({});
        });
      }

      send(frame) {
        setImmediate(() => this.readyState === 1 && service.#receive(this, JSON.parse(frame)));
      }

      close() {
        this.end(1000);
      }

      tell(message) {
        setImmediate(() => {
          if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify(message) });
        });
      }

      end(code) {
        if (this.readyState === 3) return;
        this.readyState = 3;
        service.#sockets.delete(this);
        setImmediate(() => this.onclose?.({ code, reason: "" }));
      }
    };
  }

  /** Cut every connection; `up`: whether new ones can be made. */
  cut(up = true) {
    this.isUp = up;
    for (const socket of [...this.#sockets]) socket.end(1006);
  }

  /** Somebody else changes a cart. */
  act(cart, user, op) {
    const found = this.carts.get(cart);
    return this.#commit(found, user, null, op, null);
  }

  /** Tell a user something, on all their sockets. */
  tell(user, message) {
    for (const socket of this.#sockets) if (socket.user === user) socket.tell(message);
  }

  push(cart, message) {
    for (const socket of this.#sockets) {
      if (socket.joined.has(cart)) socket.tell({ cart, ...message });
    }
  }

  #receive(socket, frame) {
    const { id, type, cart, op_id, op } = frame;
    if (type === "cart.op") this.received.push({ user: socket.user, cart, op_id, op });
    let answer;
    try {
      answer = { id, type: "ok", ...this.#handle(socket, frame) };
    } catch (error) {
      if (!error.code) throw error;
      const { code, message, temporary, extra } = error;
      answer = { id, type: "error", code, message, temporary, ...extra };
    }
    const drop = () => socket.end(1006);
    const answerLater = () => socket.tell(answer);
    const reply = this.intercept(frame, { reply: answer, user: socket.user, drop, answerLater });
    if (reply) socket.tell(reply);
  }

  #handle(socket, frame) {
    if (frame.type === "hello") {
      socket.client = frame.client;
      const user = { id: socket.user, name: socket.user };
      return { type: "welcome", user, heartbeat_s: 3600, limits: this.limits, expires_at: null };
    }
    if (frame.type === "ping") return { type: "pong" };
    const cart = this.carts.get(frame.cart);
    // A resend is answered whatever the role is by now.
    const before = this.#answers.get(`${socket.user} ${frame.cart} ${frame.op_id}`);
    if (before && before.content === JSON.stringify(frame.op)) return before.answer;
    if (!cart?.state.members.some(({ user }) => user === socket.user)) {
      throw refusal("not_found", "There is no such cart.");
    }
    if (frame.type === "cart.join") return this.#join(socket, cart, frame.rev);
    if (frame.type === "cart.leave") return socket.joined.delete(cart.id) ? {} : {};
    if (frame.type === "cart.op") return this.#op(socket, cart, frame);
    return {};
  }

  #join(socket, cart, rev) {
    socket.joined.add(cart.id);
    const { role } = cart.state.members.find(({ user }) => user === socket.user);
    const n = this.#numbers.get(`${socket.user} ${socket.client} ${cart.id}`) ?? 0;
    const told = { cart: cart.id, rev: cart.rev, role, n };
    if (!rev || rev > cart.rev) return { ...told, state: cart.state };
    return { ...told, ops: cart.log.filter((entry) => entry.rev > rev) };
  }

  #op(socket, cart, { op_id, op }) {
    const { user } = socket;
    const known = `${user} ${cart.id} ${op_id}`;
    const content = JSON.stringify(op);
    const before = this.#answers.get(known);
    const [client, n] = op_id.split(":");
    const last = this.#numbers.get(`${user} ${client} ${cart.id}`) ?? 0;
    if (before || Number(n) <= last) throw refusal("conflict", "This number was used.");
    const answer = this.#commit(cart, user, op_id, op, socket);
    this.#numbers.set(`${user} ${client} ${cart.id}`, Number(n));
    this.#answers.set(known, { content, answer });
    return answer;
  }

  #commit(cart, user, op_id, op, from) {
    const rev = cart.rev + 1;
    const line = (index) => `lin_${rev}_${index}`;
    const context = { user, products: PRODUCTS, users: new Map(), limits: LIMITS, line };
    const { effect, results } = judge(cart.state, op, context);
    const entry = { rev, op_id, by: user, at: new Date().toISOString(), op: effect };
    cart.state = applyOp(cart.state, effect);
    cart.rev = rev;
    cart.log.push(entry);
    for (const socket of this.#sockets) {
      if (socket === from || !socket.joined.has(cart.id)) continue;
      socket.tell({ type: "cart.ops", cart: cart.id, ops: [entry] });
    }
    return { cart: cart.id, rev, at: entry.at, op: effect, ...(results ? { results } : {}) };
  }
}

export function refusal(code, message, temporary = false, extra = {}) {
  return Object.assign(new Error(message), { code, temporary, extra });
}
