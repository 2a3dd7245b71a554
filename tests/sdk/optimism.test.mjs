/** What a room shows of changes on their way, and what becomes of it. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Cartroom, MemoryStore } from "../../static/sdk/cartroom.js";
import { PATIENT, PRODUCTS, Service, turn, until } from "./service.mjs";

const CART = "crt_1";
const TIMINGS = { ...PATIENT, backoff_base_ms: 5, retry_base_ms: 5, keep_after_ms: 1, adopt_every_ms: 20 };
const MUG = [PRODUCTS.get("MUG")];

let service;
let clients;

beforeEach(() => {
  service = new Service();
  service.makeCart(CART, "usr_ana", "usr_ben");
  clients = [];
});

afterEach(() => Promise.all(clients.map((client) => client.stop())));

function connect({ user = "usr_ana", store = new MemoryStore(), WebSocket = service.socket(user) } = {}) {
  const client = new Cartroom({ url: "ws://shop", WebSocket, store, timings: TIMINGS });
  clients.push(client);
  client.start();
  return client;
}

async function joined(client, cart = CART) {
  const room = client.room(cart);
  await until(() => room.status === "live", "a room that is live");
  return room;
}

/** Hold back answers to ops until `release()`. */
function holdAnswers() {
  const held = [];
  service.intercept = (frame, { reply }) => {
    if (frame.type !== "cart.op") return reply;
    held.push(frame);
    return undefined;
  };
  return held;
}

const add = (sku, qty = 1, more = {}) => ({ kind: "add", items: [{ sku, qty }], ...more });
const quantities = (state) => Object.fromEntries(state.lines.map(({ sku, qty }) => [sku, qty]));

test("a change shows at once, and settles on its answer", async () => {
  const room = await joined(connect());
  const adding = room.op(add("MUG", 2), { products: MUG });
  assert.deepEqual(quantities(room.state), { MUG: 2 });
  assert.deepEqual(quantities(room.committed), {});
  assert.equal(room.state.totals.subtotal, 2580);
  const [line] = room.state.lines;
  const [{ op_id }] = room.pending;
  assert.equal(line.line, `new:${op_id}:0`);
  assert.ok(room.isPending(line.line));
  const ok = await adding;
  assert.equal(room.state, room.committed);
  const [settled] = room.state.lines;
  assert.equal(settled.line, ok.results[0].line);
  assert.equal(room.keyOf(settled.line), room.keyOf(line.line));
  assert.equal(room.isPending(settled.line), false);
  assert.deepEqual(room.pending, []);
});

test("what waits for a line that is on its way is rewritten to the line's id", async () => {
  const room = await joined(connect());
  const frames = [];
  service.intercept = (frame, { reply }) => {
    if (frame.type === "cart.op") frames.push(frame.op);
    return reply;
  };
  const adding = room.op(add("MUG", 2), { products: MUG });
  const [{ line }] = room.state.lines;
  const more = room.op({ kind: "change_quantity", line, by: 3 });
  const note = room.op({ kind: "note", line, text: "blue" });
  assert.deepEqual(quantities(room.state), { MUG: 5 });
  assert.equal(room.state.lines[0].note, "blue");
  await Promise.all([adding, more, note]);
  const [settled] = room.committed.lines;
  assert.deepEqual([settled.qty, settled.note], [5, "blue"]);
  assert.deepEqual(frames.slice(1).map((op) => op.line), [settled.line, settled.line]);
  // Who still holds the old id is understood.
  await room.op({ kind: "set_quantity", line, qty: 9 });
  assert.equal(room.state.lines[0].qty, 9);
});

test("a refused change rolls back, and with it what was about its line", async () => {
  const room = await joined(connect());
  const stale = [{ ...PRODUCTS.get("BOWL"), available: 10 }];
  const adding = room.op(add("BOWL", 4), { products: stale });
  const [{ line }] = room.state.lines;
  const more = room.op({ kind: "change_quantity", line, by: 1 });
  const other = room.op(add("MUG"), { products: MUG });
  assert.deepEqual(quantities(room.state), { BOWL: 5, MUG: 1 });
  let changes = 0;
  room.on("change", () => (changes += 1));
  const outcomes = await Promise.allSettled([adding, more, other]);
  assert.deepEqual(outcomes.map(({ reason }) => reason?.code), ["out_of_stock", "not_found", undefined]);
  assert.deepEqual(quantities(room.state), { MUG: 1 });
  assert.ok(changes >= 2);
  const ids = service.received.map(({ op }) => op.kind);
  assert.deepEqual(ids, ["add", "add"], "what was about the missing line was never sent");
});

test("what others do meanwhile is below our changes", async () => {
  const room = await joined(connect());
  const ok = await room.op(add("MUG", 1), { products: MUG });
  const { line } = ok.results[0];
  const held = holdAnswers();
  room.op({ kind: "change_quantity", line, by: 10 }).catch(() => {});
  await until(() => held.length === 1);
  // The service has done it, and we don't know. Ben changes the same line and another one.
  service.act(CART, "usr_ben", { kind: "change_quantity", line, by: 100 });
  service.act(CART, "usr_ben", add("CARD", 1));
  await turn();
  await turn();
  assert.deepEqual(quantities(room.state), { MUG: 11 }, "a gap: our own op is missing below Ben's");
  service.intercept = (_frame, { reply }) => reply;
  service.cut();
  await until(() => room.status === "live" && !room.pending.length);
  assert.deepEqual(quantities(room.state), { MUG: 111, CARD: 1 });
  assert.equal(room.state, room.committed);
});

test("lines that aren't touched stay the same objects", async () => {
  const room = await joined(connect());
  await room.op(add("MUG", 1), { products: MUG });
  await room.op(add("CARD", 1), { products: [PRODUCTS.get("CARD")] });
  const [mug, card] = room.state.lines;
  holdAnswers();
  room.op({ kind: "change_quantity", line: mug.line, by: 1 }).catch(() => {});
  const foretold = room.state;
  assert.equal(foretold.lines[1], card);
  assert.equal(room.state, foretold, "nothing is worked out twice");
  room.op({ kind: "rename", name: "Feast" }).catch(() => {});
  assert.equal(room.state.name, "Feast");
  assert.equal(room.state.lines[0], foretold.lines[0]);
});

test("what can't be foretold waits unseen, and counts", async () => {
  const client = connect();
  const room = await joined(client);
  const held = holdAnswers();
  room.op(add("MUG")).catch(() => {});
  room.op({ kind: "set_quantity", line: "lin_none", qty: 2 }).catch(() => {});
  room.op({ kind: "rename", name: "Feast" }).catch(() => {});
  assert.deepEqual([room.state.lines.length, room.state.name], [0, "Feast"]);
  assert.deepEqual([client.pending, room.pending.length], [3, 3]);
  assert.ok(room.isPending("lin_none"));
  await until(() => held.length === 1);
});

test("an op that has landed isn't counted twice before its answer comes", async () => {
  const room = await joined(connect());
  const held = holdAnswers();
  const adding = room.op(add("MUG", 2), { products: MUG });
  await until(() => held.length === 1);
  service.cut();
  // It joins with its rev and hears of its own op; then it sends it again, and is kept waiting.
  await until(() => room.rev === 2);
  assert.deepEqual(quantities(room.state), { MUG: 2 });
  assert.equal(room.pending.length, 1);
  await until(() => held.length === 2);
  const seen = [];
  room.on("change", () => seen.push(room.state.totals.pieces));
  service.intercept = (_frame, { reply }) => reply;
  service.cut();
  const { rev } = await adding;
  assert.equal(rev, 2);
  assert.deepEqual(new Set(seen), new Set([2]));
});

test("a whole state instead of what we missed holds what it says it holds", async () => {
  const room = await joined(connect());
  const held = holdAnswers();
  const adding = room.op(add("MUG", 2), { products: MUG });
  await until(() => held.length === 1);
  const cart = service.carts.get(CART);
  const [, n] = held[0].op_id.split(":");
  service.push(CART, { type: "cart.state", rev: cart.rev, role: "owner", n: Number(n), state: cart.state });
  await until(() => room.rev === 2);
  assert.deepEqual(quantities(room.state), { MUG: 2 });
  service.intercept = (_frame, { reply }) => reply;
  service.cut();
  await adding;
  assert.deepEqual(quantities(room.state), { MUG: 2 });
});

test("an answer that overtakes earlier ops stays in sight until they are here", async () => {
  const room = await joined(connect());
  const cart = service.carts.get(CART);
  service.intercept = (frame, { reply }) => {
    if (frame.type === "cart.op") cart.state = { ...cart.state }; // (as it is)
    return reply;
  };
  // Ben's op gets lost on its way to us: our answer is one rev ahead.
  const { rev } = cart;
  cart.rev = rev + 1;
  cart.log.push({ rev: rev + 1, op_id: null, by: "usr_ben", at: "", op: { kind: "rename", name: "Ben's" } });
  cart.state = { ...cart.state, name: "Ben's" };
  const ok = await room.op(add("MUG", 2), { products: MUG });
  assert.deepEqual([ok.rev, room.rev], [rev + 2, rev]);
  assert.deepEqual(quantities(room.state), { MUG: 2 });
  assert.equal(room.pending.length, 0);
  assert.equal(room.state.lines[0].line, ok.results[0].line);
  service.cut(); // or after a while
  await until(() => room.rev === rev + 2);
  assert.deepEqual([room.state.name, quantities(room.state).MUG], ["Ben's", 2]);
  assert.equal(room.state, room.committed);
});

test("who has left is shown as gone and changes nothing, though earlier ops are missing", async () => {
  const room = await joined(connect({ user: "usr_ben" }));
  const cart = service.carts.get(CART);
  // Ana's op gets lost on its way to him.
  cart.log.push({ rev: cart.rev + 1, op_id: null, by: "usr_ana", at: "", op: { kind: "rename", name: "Hers" } });
  cart.rev += 1;
  await room.op({ kind: "unshare", user: "usr_ben" });
  assert.deepEqual([room.rev, room.role, room.pending.length], [1, "editor", 0]);
  assert.deepEqual(room.state.members.map(({ user }) => user), ["usr_ana"]);
  const renaming = room.op({ kind: "rename", name: "His" });
  assert.deepEqual([room.state.name, room.pending.length], ["Cart", 1]);
  await assert.rejects(renaming, { code: "not_found" });
});

test("a state that comes together with the answer to a join, and after it, counts", async () => {
  const sockets = [];
  class Socket extends service.socket("usr_ben") {
    constructor() {
      super();
      sockets.push(this);
    }
  }
  const room = await joined(connect({ WebSocket: Socket }));
  service.intercept = (frame, { reply }) => {
    if (frame.type !== "cart.join") return reply;
    service.act(CART, "usr_ana", { kind: "share", users: [{ user: "usr_ben", role: "viewer" }] });
    const { rev, state } = service.carts.get(CART);
    const push = { type: "cart.state", cart: CART, rev, role: "viewer", n: 0, state };
    // Sockets of Node hand on what came in one packet without a pause.
    setImmediate(() => {
      for (const frame of [reply, push]) sockets.at(-1).onmessage({ data: JSON.stringify(frame) });
    });
    return undefined;
  };
  service.cut();
  await until(() => room.status === "away");
  await until(() => room.status === "live");
  assert.deepEqual([room.rev, room.role, room.state.members[1].role], [2, "viewer", "viewer"]);
});

test("events tell whose an op is", async () => {
  const room = await joined(connect());
  const heard = [];
  room.on("op", ({ own, live, op, before }) => heard.push([own, live, op.kind, before.name]));
  await room.op({ kind: "rename", name: "Feast" });
  service.act(CART, "usr_ben", { kind: "rename", name: "Ball" });
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [
    [true, true, "rename", "Cart"],
    [false, true, "rename", "Feast"],
  ]);
});
