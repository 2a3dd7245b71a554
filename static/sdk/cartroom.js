/**
 * The client of a Cartroom service: one socket, many carts on it.
 *
 *     const client = new Cartroom({ url, token: () => accessToken });
 *     client.start();
 *     const room = client.room("crt_…");
 *     room.on("change", () => draw(room.state));
 *     await room.op({ kind: "add", items: [{ sku: "MUG-1", qty: 2 }] });
 *
 * Changes are shown at once, stored before they are sent, and sent until the service has answered:
 * by this page, after a reload, or by another tab once this one is closed.
 *
 * Events: `status`, `live`, `refused` (sign in again) as of `Connection`, `notification` (news for
 * us, whatever cart is open: `{kind, …}`), `pending` whenever the number of changes that wait
 * to be confirmed may have changed, `rejected` ({cart, op, op_id, error}: a change that nobody
 * waits for any more was refused), `undurable` (an error, once: the store fails, so changes don't
 * outlive the page).
 */

import { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { CartroomError } from "./errors.js";
import { InboxCopy } from "./inbox.js";
import { Keeper } from "./keeper.js";
import { Outbox } from "./outbox.js";
import { Room } from "./room.js";
import { Sender } from "./sending.js";
import { Snapshots } from "./snapshots.js";
import { browserStore } from "./stores/browser.js";
import { TIMINGS } from "./timings.js";
import { uuid } from "./uuid.js";

export { MemoryStore } from "./stores/memory.js";
export { Store } from "./stores/store.js";
export { browserStore, CartroomError };

const CREATE_ATTEMPTS_MAX = 5;

export class Cartroom extends Emitter {
  #connection;
  #keeper;
  #outbox;
  #sender;
  #snapshots;
  #inbox;
  #world;
  #timings;
  #random;
  #rooms = new Map();
  /** What opens or closes the outbox, one after the other. */
  #turn = Promise.resolve();
  #started = false;
  #adoptTimer = null;
  #restTimer = null;
  /** Nobody has looked for a while. */
  #resting = false;

  /**
   * `{url, token?, WebSocket?, store?, user?, timings?, random?}`. `token: () => string|null`, or a
   * promise of it; none where a cookie says who we are. `store`: see `Store`; by default the
   * browser's. `user`: `{id, name}` of who is signed in, where that is known before the service
   * says so; else it is who was here last. `timings`: see `TIMINGS`.
   */
  constructor({
    url,
    token = () => null,
    WebSocket = globalThis.WebSocket,
    store = browserStore(),
    user = null,
    timings = {},
    random = Math.random,
  }) {
    super();
    this.#timings = { ...TIMINGS, ...timings };
    this.#random = random;
    this.#keeper = new Keeper(store, this.#timings);
    this.#outbox = new Outbox(this.#keeper, user);
    const client = () => this.#outbox.opened.then(() => this.#outbox.client);
    const told = { url, token, WebSocket, client, random, timings: this.#timings };
    this.#connection = new Connection(told);
    this.#snapshots = new Snapshots(this.#keeper, this.#timings);
    this.#inbox = new InboxCopy(this.#keeper, this.#timings);
    const [connection, outbox, snapshots] = [this.#connection, this.#outbox, this.#snapshots];
    const roomOf = (cart) => this.#rooms.get(cart);
    const shared = { connection, outbox, timings: this.#timings, random };
    this.#sender = new Sender({ ...shared, roomOf });
    const joined = (room) => this.#resting && room.rest();
    this.#world = { ...shared, snapshots, joined, sender: this.#sender };
    this.#listen();
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

  /** Who we are, `{id, name}`: of the last welcome, before it as given or stored; or null. */
  get user() {
    return this.#outbox.user;
  }

  /** Our UUID; null before it is claimed, soon after `start`. */
  get client() {
    return this.#outbox.client;
  }

  /** How many changes of this user, in all carts, are not confirmed yet. */
  get pending() {
    return this.#outbox.count;
  }

  /** Whether the store works: if it doesn't, what waits ends with the page. */
  get durable() {
    return this.#keeper.durable;
  }

  start() {
    if (!this.#started) {
      this.#started = true;
      this.#next(() => this.#outbox.open());
    }
    this.#connection.start();
  }

  /**
   * Disconnect, and let go of what is stored: another client may claim it, in this tab or another.
   * Resolves once that is done. What waits here goes on waiting for `start`.
   */
  stop() {
    this.#connection.stop();
    clearTimeout(this.#restTimer);
    this.#snapshots.flush();
    this.#inbox.flush();
    if (this.#started) {
      this.#started = false;
      this.#next(() => this.#outbox.close());
    }
    return this.#turn;
  }

  /** Throw away what waits and what is kept of this user: somebody signs out for good. */
  async discard() {
    const kept = [this.#snapshots, this.#inbox];
    for (const each of kept) each.drop();
    await this.#next(() => this.#outbox.discard());
    for (const each of kept) each.goOn();
  }

  /** Look after the connection now: the network is back, or somebody looks. */
  wake() {
    this.#connection.wake();
  }

  /**
   * Whether nobody looks. What happens in a cart then counts as seen by nobody, so before long we
   * leave all carts; we are back in them as soon as somebody looks.
   */
  set dormant(dormant) {
    this.#connection.dormant = dormant;
    clearTimeout(this.#restTimer);
    if (dormant) this.#restTimer = setTimeout(() => this.#rest(), this.#timings.rest_after_ms);
    else this.#rouse();
  }

  /** The room of a cart, joined as soon as we are connected. The same object until it is closed. */
  room(cart) {
    const open = this.#rooms.get(cart);
    if (open && !open.closed) return open;
    const room = new Room(cart, this.#world);
    this.#rooms.set(cart, room);
    room.on("gone", () => this.#forget(room));
    room.on("failed", () => this.#forget(room));
    room.open();
    room.join();
    return room;
  }

  /** Make a cart; resolves with its id. The same op_id is sent again until it is answered. */
  async createCart(fields) {
    // A name of its own: the numbers of our client are those of changes that are stored.
    const opId = `${uuid()}:1`;
    for (let attempt = 1; ; attempt += 1) {
      await this.#untilLive();
      try {
        return await this.#connection.request("cart.create", { ...fields, op_id: opId });
      } catch (error) {
        if (!error.temporary || attempt >= CREATE_ATTEMPTS_MAX) throw error;
        const { retry_base_ms } = this.#timings;
        const pauseMs = retry_base_ms * 2 ** attempt * this.#random();
        const waitMs = 1000 * (error.extra.retry_after_s ?? 0) + pauseMs;
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

  /**
   * One page of our inbox, the latest first: `{notifications, unread, version, cursor?}`. `unread`
   * counts all of it, not the page alone; `version` rises with each change of it.
   */
  async notifications({ limit, cursor } = {}) {
    await this.#untilLive();
    const asked = { limit, cursor: cursor ?? undefined };
    const page = await this.#connection.request("notifications.list", asked);
    if (!asked.cursor && this.user) this.#inbox.asked(this.user.id, page);
    return page;
  }

  /**
   * Our inbox as it was last known, also without a connection: `{notifications, unread, version,
   * at}`, where `at`, in ms since the epoch, is when it was so; null if it isn't known.
   */
  async keptNotifications() {
    await this.#outbox.opened;
    const kept = this.user && (await this.#inbox.load(this.user.id));
    if (!kept) return null;
    const { notifications, unread, version, at } = kept;
    return { notifications, unread, version, at };
  }

  /** Mark notifications as read, all of them without `ids`; resolves with `{unread, version}`. */
  async readNotifications(ids) {
    await this.#untilLive();
    const { unread, version } = await this.#connection.request("notifications.read", { ids });
    return { unread, version };
  }

  /** Not be told any more of what others do in a cart, or again: for us alone, on all devices. */
  async muteCart(cart, muted) {
    await this.#untilLive();
    await this.#connection.request("cart.mute", { cart, muted });
  }

  /**
   * Send an op in this very turn, and keep nothing of it: for a page that is about to end, which
   * can't wait for the store. It goes out under an op_id of its own, if we are connected; whether it
   * took effect isn't told.
   */
  sendLast(cart, op) {
    if (this.status !== "live") return;
    const sent = this.#connection.request("cart.op", { cart, op_id: `${uuid()}:1`, op });
    sent.catch((error) => {
      if (error.code !== "disconnected") console.warn("A last change was refused", error);
    });
  }

  #listen() {
    this.#connection.on("push", (push) => {
      if (push.type === "notification") this.#hear(push);
      else this.#rooms.get(push.cart)?.receive(push);
    });
    this.#connection.on("live", (welcome) => this.#live(welcome));
    this.#connection.on("status", (change) => this.#statusChanged(change));
    this.#connection.on("refused", (error) => this.emit("refused", error));
    this.#keeper.on("undurable", (error) => this.emit("undurable", error));
    this.#outbox.on("change", (cart) => {
      const room = this.#rooms.get(cart);
      room?.refresh();
      if (this.#resting && room) this.#lookBriefly(room);
      this.emit("pending");
    });
    this.#outbox.on("rejected", (refusal) => {
      this.#rooms.get(refusal.cart)?.emit("rejected", refusal);
      this.emit("rejected", refusal);
    });
  }

  #hear(news) {
    if (news.kind === "inbox" && this.user) this.#inbox.told(this.user.id, news);
    this.emit("notification", news);
  }

  #live(welcome) {
    const isAnother = this.#outbox.welcomed(welcome.user);
    this.#inbox.load(welcome.user.id);
    for (const room of this.#rooms.values()) {
      if (isAnother) room.reset();
      if (!this.#resting || room.pending.length) room.join();
    }
    this.#sender.wake();
    this.#adopt();
    clearInterval(this.#adoptTimer);
    this.#adoptTimer = setInterval(() => this.#adopt(), this.#timings.adopt_every_ms);
    this.emit("live", welcome);
  }

  #statusChanged(change) {
    if (change.status !== "live") {
      clearInterval(this.#adoptTimer);
      this.#sender.reset();
    }
    if (change.status !== "live" && change.status !== "connecting") {
      for (const room of this.#rooms.values()) room.away();
    }
    this.emit("status", change);
  }

  #rest() {
    this.#resting = true;
    for (const room of this.#rooms.values()) room.rest();
  }

  /** Though nobody looks: as long as changes of ours wait. */
  #lookBriefly(room) {
    if (!room.pending.length) room.rest();
    else if (room.status !== "live") room.join();
  }

  #rouse() {
    if (!this.#resting) return;
    this.#resting = false;
    for (const room of this.#rooms.values()) if (room.status !== "live") room.join();
  }

  async #adopt() {
    await this.#outbox.adopt();
    this.#sender.wake();
  }

  #next(act) {
    this.#turn = this.#turn.then(act);
    return this.#turn;
  }

  #forget(room) {
    if (this.#rooms.get(room.cart) === room) this.#rooms.delete(room.cart);
    this.emit("pending");
    this.#sender.wake();
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
      const timer = setTimeout(lost, this.#timings.live_timeout_ms);
      const stopListening = this.on("live", settle(resolve));
    });
  }
}
