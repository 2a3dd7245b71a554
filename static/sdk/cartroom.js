/**
 * The client of a Cartroom service: one socket, many carts on it.
 *
 *     const identity = await claimIdentity(sessionStorage, navigator.locks);
 *     const client = new Cartroom({ url, token: () => accessToken, identity });
 *     client.start();
 *     const room = client.room("crt_…");
 *     room.on("change", () => draw(room.state));
 *     await room.op({ kind: "add", items: [{ sku: "MUG-1", qty: 2 }] });
 *
 * Events: `status`, `live`, `refused` (sign in again) as of `Connection`, `notification` (news for
 * us that is of no open cart: `{kind, …}`), and `pending` whenever the number of changes that wait
 * to be confirmed may have changed.
 */

import { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { CartroomError } from "./errors.js";
import { Room } from "./room.js";

export { claimIdentity } from "./identity.js";
export { CartroomError };

const CREATE_ATTEMPTS_MAX = 5;
const LIVE_TIMEOUT_MS = 20_000;

export class Cartroom extends Emitter {
  #connection;
  #identity;
  #rooms = new Map();

  /** `{url, token: () => string|null, identity, WebSocket?}`, `token` as of `Connection` */
  constructor({ url, token, identity, WebSocket = globalThis.WebSocket }) {
    super();
    this.#identity = identity;
    this.#connection = new Connection({ url, token, WebSocket, client: identity.client });
    this.#connection.on("push", (push) => {
      if (push.type === "notification") this.emit("notification", push);
      else this.#rooms.get(push.cart)?.receive(push);
    });
    this.#connection.on("live", (welcome) => {
      for (const room of this.#rooms.values()) room.join();
      this.emit("live", welcome);
    });
    this.#connection.on("status", (change) => {
      if (change.status !== "live" && change.status !== "connecting") {
        for (const room of this.#rooms.values()) room.away();
      }
      this.emit("status", change);
    });
    this.#connection.on("refused", (error) => this.emit("refused", error));
  }

  get status() {
    return this.#connection.status;
  }

  get retryAt() {
    return this.#connection.retryAt;
  }

  /** What the service told in `welcome`: `{user, heartbeat_s, limits}`, or null. */
  get welcome() {
    return this.#connection.welcome;
  }

  get client() {
    return this.#identity.client;
  }

  /** How many changes, over all rooms, are not confirmed yet. */
  get pending() {
    let count = 0;
    for (const room of this.#rooms.values()) count += room.pending.length;
    return count;
  }

  start() {
    this.#connection.start();
  }

  stop() {
    this.#connection.stop();
  }

  /** Look after the connection now: the network is back, or somebody looks. */
  wake() {
    this.#connection.wake();
  }

  set dormant(dormant) {
    this.#connection.dormant = dormant;
  }

  /** The room of a cart, joined as soon as we are connected. The same object until it is closed. */
  room(cart) {
    const open = this.#rooms.get(cart);
    if (open && !open.closed) return open;
    const room = new Room(cart, this.#connection, this.#identity);
    this.#rooms.set(cart, room);
    room.on("change", () => this.emit("pending"));
    room.on("gone", () => this.#forget(room));
    room.on("failed", () => this.#forget(room));
    room.join();
    return room;
  }

  /** Make a cart; resolves with its id. The same op_id is sent again until it is answered. */
  async createCart(fields) {
    const opId = `${this.#identity.client}:${this.#identity.numbers.next()}`;
    for (let attempt = 1; ; attempt += 1) {
      await this.#untilLive();
      try {
        return await this.#connection.request("cart.create", { ...fields, op_id: opId });
      } catch (error) {
        if (!error.temporary || attempt >= CREATE_ATTEMPTS_MAX) throw error;
        const waitMs = 1000 * (error.extra.retry_after_s ?? 0) + 200 * attempt;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }

  /** One page of our carts, `{carts, cursor?}`. */
  async listCarts(cursor) {
    await this.#untilLive();
    return this.#connection.request("cart.list", cursor ? { cursor } : {});
  }

  /** Invite an address to a cart of ours; resolves with the invitation's id. */
  async invite(cart, email, role) {
    await this.#untilLive();
    const { invitation } = await this.#connection.request("cart.invite", { cart, email, role });
    return invitation;
  }

  /** Who is invited to a cart and hasn't come: `[{invitation, email, role, …}]`. */
  async invitations(cart) {
    await this.#untilLive();
    return (await this.#connection.request("cart.invitations", { cart })).invitations;
  }

  /** Take an invitation back. */
  async uninvite(cart, invitation) {
    await this.#untilLive();
    await this.#connection.request("cart.uninvite", { cart, invitation });
  }

  /** Accept a mailed invitation; resolves with `{cart, role}`. */
  async acceptInvitation(token) {
    await this.#untilLive();
    return this.#connection.request("invitation.accept", { token });
  }

  #forget(room) {
    if (this.#rooms.get(room.cart) === room) this.#rooms.delete(room.cart);
    this.emit("pending");
  }

  #untilLive() {
    if (this.status === "live") return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (act) => () => {
        clearTimeout(timer);
        stopListening();
        act();
      };
      const lost = settle(() => reject(CartroomError.disconnected()));
      const timer = setTimeout(lost, LIVE_TIMEOUT_MS);
      const stopListening = this.on("live", settle(resolve));
    });
  }
}
