/**
 * A bad network between clients and the service that knows WebSocket messages: it drops, delays
 * and repeats them, cuts connections and lets them hang, as a seed decides. Each tab has a `Lane`
 * with faults of its own; all lanes share one port. What went through is counted.
 */

import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";

import { random } from "./random.mjs";

/** How often what happens to a message, of 1,000. */
const FAULTS = {
  request: { drop: 25, repeat: 50, delay: 120, cut: 15, hang: 3, none: 787 },
  reply: { drop: 40, repeat: 50, delay: 120, cut: 40, hang: 3, none: 747 },
  push: { drop: 60, repeat: 80, delay: 120, cut: 10, hang: 2, none: 728 },
  ending: { repeat: 80, delay: 120, cut: 70, hang: 2, none: 728 },
};
const DELAY_MAX_MS = 30;

export class Proxy {
  #service;
  #lanes = new Map();
  #http = createServer();
  #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

  /** `service`: the address of its WebSocket. */
  constructor(service) {
    this.#service = service;
    this.#http.on("upgrade", (request, socket, head) => {
      const lane = this.#lanes.get(request.url.slice(1));
      socket.on("error", () => {}); // it went away: its lane finds out by itself
      if (!lane || lane.offline) socket.destroy();
      else this.#sockets.handleUpgrade(request, socket, head, (near) => lane.carry(near));
    });
  }

  async start() {
    await new Promise((resolve) => this.#http.listen(0, "127.0.0.1", resolve));
    return this;
  }

  /** The way of one tab; `tally` is where it counts. */
  lane(name, seed, tally) {
    const lane = new Lane(`${this.#address}/${name}`, this.#service, seed, tally);
    this.#lanes.set(name, lane);
    return lane;
  }

  remove(lane) {
    lane.cut();
    this.#lanes.delete(new URL(lane.url).pathname.slice(1));
  }

  async stop() {
    for (const lane of this.#lanes.values()) lane.cut();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  get #address() {
    return `ws://127.0.0.1:${this.#http.address().port}`;
  }
}

export class Lane {
  /** Nothing gets through, and what is open is cut. */
  offline = false;
  /** From now on nothing happens to messages any more. */
  healed = false;
  #service;
  #seed;
  #tally;
  #links = new Set();
  #count = 0;

  constructor(url, service, seed, tally) {
    Object.assign(this, { url });
    this.#service = service;
    this.#seed = seed;
    this.#tally = tally;
  }

  carry(near) {
    this.#count += 1;
    const chance = random(this.#seed, this.#count);
    const link = new Link(near, new WebSocket(this.#service, near.protocol), chance, this);
    this.#links.add(link);
    near.on("close", () => this.#links.delete(link));
  }

  cut() {
    for (const link of this.#links) link.cut();
  }

  goOffline() {
    this.offline = true;
    this.cut();
  }

  goOnline() {
    this.offline = false;
  }

  heal() {
    this.healed = true;
    this.goOnline();
    // What hangs would be found out by its silence in the end; nobody waits for that here.
    for (const link of this.#links) if (link.hangs) link.cut();
  }

  get tally() {
    return this.#tally;
  }
}

/** One connection and its way on: two streams of messages, each in its order. */
class Link {
  hangs = false;
  #near;
  #far;
  #chance;
  #lane;
  #client;
  #asked = new Map();
  #toFar = [];
  #toNear = [];
  #timers = new Map();

  constructor(near, far, chance, lane) {
    this.#near = near;
    this.#far = far;
    this.#chance = chance;
    this.#lane = lane;
    near.on("message", (data) => this.#request(data.toString()));
    far.on("message", (data) => this.#answer(data.toString()));
    far.on("open", () => this.#flow(this.#toFar));
    near.on("close", (code) => this.#end(far, code));
    far.on("close", (code) => this.#end(near, code));
    for (const socket of [near, far]) socket.on("error", () => this.cut());
  }

  cut() {
    this.#drained();
    this.#near.terminate();
    this.#far.terminate();
  }

  #end(other, code) {
    this.#drained();
    if (code === 1000 || code >= 3000) other.close(code);
    else other.terminate();
  }

  /** What never arrived, as the connection is over: replies that the service had given. */
  #drained() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const { lost } of this.#toNear.splice(0)) lost?.();
    this.#toFar.length = 0;
  }

  #request(frame) {
    const { id, type, op_id: opId, client } = JSON.parse(frame);
    if (type === "hello") this.#client = client;
    if (opId) this.#lane.tally.asked(opId);
    this.#asked.set(id, { type, opId });
    this.#pass("request", frame, this.#toFar);
  }

  #answer(frame) {
    const message = JSON.parse(frame);
    if (message.id === undefined) {
      // Ops that are missing show by the next one. That no more will come shows by nothing else.
      const kind = message.type === "cart.gone" ? "ending" : "push";
      this.#pass(kind, frame, this.#toNear);
      return;
    }
    const { type, opId } = this.#asked.get(message.id) ?? {};
    const { tally } = this.#lane;
    if (type === "cart.op") tally.answered(opId, message, this.#client);
    const lost = type === "cart.op" ? () => tally.lost(opId, message) : undefined;
    const resumes = type === "cart.join" && message.ops?.length;
    this.#pass("reply", frame, this.#toNear, lost, resumes ? () => tally.resumed() : undefined);
  }

  #pass(direction, frame, queue, lost, arrived) {
    const { tally } = this.#lane;
    const [kind, wait] = [this.#chance.weighted(FAULTS[direction]), this.#chance.next()];
    const fault = this.hangs ? "drop" : this.#lane.healed ? "none" : kind;
    if (fault !== "none") tally.fault(`${direction} ${fault}`);
    if (fault === "hang") this.hangs = true;
    if (fault === "cut") this.#cutBy(direction, frame, lost);
    else if (fault === "drop" || fault === "hang") lost?.();
    else {
      const delayMs = fault === "delay" ? 1 + wait * DELAY_MAX_MS : 0;
      const due = performance.now() + delayMs;
      queue.push({ frame, due, lost, arrived });
      if (fault === "repeat") queue.push({ frame, due });
      this.#flow(queue);
    }
  }

  /** A request is cut off after it has got through, an answer before: both leave a doubt. */
  #cutBy(direction, frame, lost) {
    if (direction === "request" && this.#far.readyState === WebSocket.OPEN) this.#far.send(frame);
    lost?.();
    this.#near.terminate();
    // The service still does what it has been asked.
    this.#far.close(1000);
  }

  /** Send what is due, in order; the rest when its time has come. */
  #flow(queue) {
    const to = queue === this.#toFar ? this.#far : this.#near;
    if (to.readyState === WebSocket.CONNECTING) return;
    clearTimeout(this.#timers.get(queue));
    while (queue.length && queue[0].due <= performance.now()) {
      const { frame, arrived } = queue.shift();
      if (to.readyState === WebSocket.OPEN) to.send(frame);
      arrived?.();
    }
    if (!queue.length) return;
    const waitMs = Math.max(1, queue[0].due - performance.now());
    this.#timers.set(
      queue,
      setTimeout(() => this.#flow(queue), waitMs),
    );
  }
}
