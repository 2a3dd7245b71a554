/** Changes outlive their page, and take effect once, whoever sends them and whenever it ends. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { CartroomError } from "../../static/sdk/cartroom.js";
import { Life, storeToLookAt } from "./lives.mjs";
import { PRODUCTS, Service, turn, until } from "./service.mjs";

const CART = "crt_1";
const OTHER = "crt_2";
const DAY_MS = 24 * 3_600_000;

let service;
let store;
let lives;

beforeEach(() => {
  service = new Service();
  service.makeCart(CART, "usr_ana", "usr_ben");
  service.makeCart(OTHER, "usr_ana", "usr_ben");
  store = storeToLookAt();
  lives = [];
});

afterEach(async () => {
  await Promise.all(lives.map((life) => life.bury()));
  assert.deepEqual(store.dangling, []);
});

function live(options, on = store) {
  const life = new Life(service, on, options);
  lives.push(life);
  return life;
}

const log = (cart = CART) => service.carts.get(cart).log;
const quantities = (state) => Object.fromEntries(state.lines.map(({ sku, qty }) => [sku, qty]));
const add = (sku, qty) => ({ kind: "add", items: [{ sku, qty }] });
const facts = (sku) => ({ products: [PRODUCTS.get(sku)] });

async function isLive(life, cart = CART) {
  const room = life.enter(cart);
  await until(() => room.status === "live", "a room that is live");
  return room;
}

/** Changes that hang together; returns the op_ids of those that were acknowledged. */
function shop(room, acknowledged) {
  const op = async (fields, more) => {
    const before = new Set(room.pending.map(({ op_id }) => op_id));
    const asked = room.op(fields, more);
    asked.catch(() => {});
    const mine = room.pending.find(({ op_id }) => !before.has(op_id));
    await asked;
    acknowledged.push(mine.op_id);
  };
  const all = [op(add("MUG", 2), facts("MUG"))];
  const { line } = room.state.lines[0];
  all.push(op({ kind: "change_quantity", line, by: 3 }));
  all.push(op(add("CARD", 4), facts("CARD")));
  all.push(op({ kind: "note", line, text: "blue" }));
  all.push(op({ kind: "rename", name: "Feast" }));
  return Promise.allSettled(all);
}

/** After everything was sent: what was stored or acknowledged has had one effect, in order. */
function checkOnce(acknowledged, stored) {
  const ids = log().map(({ op_id }) => op_id);
  assert.equal(new Set(ids).size, ids.length, "an op took effect twice");
  for (const id of acknowledged) assert.ok(ids.includes(id), "acknowledged without effect");
  for (const { op_id } of stored) assert.ok(ids.includes(op_id), "stored, and never sent");
  const numbers = ids.map((id) => Number(id.split(":")[1]));
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b), "out of order");
}

async function crashed(options, wire = {}) {
  const first = live(options);
  const acknowledged = [];
  let count = 0;
  service.intercept = (frame, { reply, drop }) => {
    if (frame.type !== "cart.op" || first.isDead) return reply;
    count += 1;
    if (count !== wire.dieAt) return reply;
    drop();
    first.die();
    return undefined;
  };
  const working = (async () => {
    const room = await isLive(first);
    await shop(room, acknowledged);
    await turn();
  })();
  working.catch(() => {}); // It ends with its page.
  await Promise.race([working, first.died]);
  if (!first.isDead) return false;
  const stored = store.waiting();
  const again = live();
  const room = again.enter(CART);
  await until(() => room.status === "live" && !again.client.pending, "everything to be sent");
  checkOnce(acknowledged, stored);
  assert.deepEqual(room.state, service.carts.get(CART).state);
  assert.deepEqual(again.rejected, []);
  await until(() => !store.waiting().length);
  await again.bury();
  return true;
}

for (const after of [false, true]) {
  test(`a page ends ${after ? "after" : "before"} any call of its store`, async () => {
    let points = 0;
    for (let dieAt = 1; ; dieAt += 1) {
      service = new Service();
      service.makeCart(CART, "usr_ana");
      store = storeToLookAt();
      if (!(await crashed({ dieAt, after }))) break;
      points += 1;
    }
    assert.ok(points >= 8, `${points} points`);
  });
}

test("a page ends between an op's effect and its answer", async () => {
  for (let dieAt = 1; dieAt <= 5; dieAt += 1) {
    service = new Service();
    service.makeCart(CART, "usr_ana");
    store = storeToLookAt();
    assert.ok(await crashed({}, { dieAt }));
    assert.equal(log().length, 5);
    const twice = service.received.length - new Set(service.received.map((op) => op.op_id)).size;
    assert.equal(twice, 1, "it was sent again");
  }
});

test("nothing is sent before it is stored, and never with another content", async () => {
  const sent = new Map();
  service.intercept = (frame, { reply }) => {
    if (frame.type === "cart.op") {
      const stored = store.waiting().find(({ op_id }) => op_id === frame.op_id);
      assert.deepEqual(stored?.op, frame.op);
      const before = sent.get(frame.op_id);
      if (before) assert.deepEqual(before, frame.op);
      sent.set(frame.op_id, frame.op);
    }
    return reply;
  };
  await shop(await isLive(live()), []);
  assert.equal(sent.size, 5);
});

test("two tabs make changes offline, one is closed: the other sends them all, once", async () => {
  const [one, two] = [live(), live()];
  const rooms = await Promise.all([isLive(one), isLive(two)]);
  assert.notEqual(one.client.client, two.client.client);
  service.cut(false);
  await until(() => rooms.every((room) => room.status === "away"));
  for (const room of rooms) {
    for (const sku of ["MUG", "CARD", "MUG"]) room.op(add(sku, 1), facts(sku)).catch(() => {});
  }
  await until(() => store.waiting().length === 6);
  assert.equal(two.client.pending, 3);
  one.die();
  service.isUp = true;
  await until(() => log().length === 6 && !two.client.pending);
  await until(() => !store.waiting().length);
  assert.deepEqual(quantities(rooms[1].state), { MUG: 4, CARD: 2 });
  const before = service.received.length;
  // The closed tab is opened again, with all that it remembers.
  await two.bury();
  store.tab.setItem("cartroom.client", one.client.client);
  const again = live();
  const room = await isLive(again);
  assert.notEqual(again.client.client, one.client.client, "its record is gone, and its numbers");
  await turn();
  assert.equal(service.received.length, before);
  assert.deepEqual(quantities(room.state), { MUG: 4, CARD: 2 });
});

test("what a closed tab left shows here while it waits, and needs no open cart", async () => {
  const [one, two] = [live(), live()];
  const rooms = await Promise.all([isLive(one), isLive(two)]);
  const elsewhere = await isLive(one, OTHER);
  service.cut(false);
  await until(() => rooms.every((room) => room.status === "away"));
  rooms[0].op(add("MUG", 2), facts("MUG")).catch(() => {});
  rooms[0].op(add("CARD", 1), facts("CARD")).catch(() => {});
  elsewhere.op({ kind: "rename", name: "Elsewhere" }).catch(() => {});
  await until(() => store.waiting().length === 3);
  one.die();
  let isHeld = true;
  service.intercept = (frame, { reply }) =>
    frame.type === "cart.op" && frame.cart === CART && isHeld ? undefined : reply;
  service.isUp = true;
  await until(() => service.carts.get(OTHER).state.name === "Elsewhere");
  await until(() => two.client.pending === 2);
  const shown = rooms[1].pending.map(({ op }) => op.items[0].sku);
  assert.deepEqual(shown, ["MUG", "CARD"]);
  assert.deepEqual(quantities(rooms[1].state), { MUG: 2, CARD: 1 });
  await until(() => log().length === 1);
  // The first has landed, and its answer gets lost.
  service.cut();
  await until(() => rooms[1].rev === 2);
  assert.deepEqual(quantities(rooms[1].state), { MUG: 2, CARD: 1 });
  isHeld = false;
  service.cut();
  await until(() => !two.client.pending && rooms[1].rev === 3);
  assert.deepEqual(quantities(rooms[1].committed), { MUG: 2, CARD: 1 });
  assert.deepEqual(two.rejected, []);
});

test("what a closed tab may have sent isn't shown twice", async () => {
  const [one, two] = [live(), live()];
  const room = await isLive(one);
  await until(() => two.client.status === "live");
  service.intercept = (frame, { reply }) => (frame.type === "cart.op" ? undefined : reply);
  room.op(add("MUG", 2), facts("MUG")).catch(() => {});
  await until(() => log().length === 1);
  one.die();
  await until(() => two.client.pending === 1);
  await store.removeRoom("usr_ana", CART); // It gets a state, which doesn't tell what it holds.
  const here = two.enter(CART);
  await until(() => here.status === "live");
  assert.deepEqual([here.rev, quantities(here.state), here.pending.length], [2, { MUG: 2 }, 1]);
  service.intercept = (_frame, { reply }) => reply;
  service.cut();
  await until(() => !two.client.pending);
  assert.deepEqual(quantities(here.state), { MUG: 2 });
});

test("what waits in an open tab is left to it", async () => {
  const [one, two] = [live(), live()];
  const rooms = await Promise.all([isLive(one), isLive(two)]);
  one.offline();
  await until(() => rooms[0].status === "away");
  const renaming = rooms[0].op({ kind: "rename", name: "One" });
  await until(() => store.waiting().length === 1);
  const before = two.calls;
  await until(() => two.calls > before + 3, "some rounds of looking for closed tabs");
  assert.deepEqual([two.client.pending, log().length], [0, 0]);
  one.isOffline = false;
  await renaming;
  assert.equal(service.received.length, 1);
});

test("a line that an adopted add will make can be changed here", async () => {
  const [one, two] = [live(), live()];
  const rooms = await Promise.all([isLive(one), isLive(two)]);
  service.cut(false);
  await until(() => rooms.every((room) => room.status === "away"));
  rooms[0].op(add("MUG", 2), facts("MUG")).catch(() => {});
  await until(() => store.waiting().length === 1);
  one.die();
  service.isUp = true;
  let isHeld = true;
  const commits = [];
  service.intercept = (frame, { reply }) => {
    if (frame.type !== "cart.op") return reply;
    commits.push(frame.op.kind);
    return isHeld ? undefined : reply;
  };
  const room = rooms[1];
  await until(() => commits.length === 1, "the adopted add to be sent");
  assert.deepEqual(quantities(room.state), { MUG: 2 });
  const changed = room.op({ kind: "change_quantity", line: room.state.lines[0].line, by: 5 });
  assert.deepEqual(quantities(room.state), { MUG: 7 });
  await turn();
  assert.equal(commits.length, 1, "it waits for the line");
  isHeld = false;
  service.cut();
  await changed;
  assert.deepEqual(quantities(room.committed), { MUG: 7 });
});

test("changes of another user stay until that user is back", async () => {
  const ana = live();
  const room = await isLive(ana);
  service.cut(false);
  await until(() => room.status === "away");
  room.op({ kind: "rename", name: "Ana's" }).catch(() => {});
  await until(() => store.waiting().length === 1);
  ana.die();
  service.isUp = true;
  const ben = live({ user: "usr_ben" });
  const bens = ben.enter(CART);
  await until(() => bens.status === "live");
  await bens.op({ kind: "note", text: "Ben was here" });
  await new Promise((resolve) => setTimeout(resolve, 30)); // Some rounds of looking for closed tabs.
  assert.equal(ben.client.pending, 0);
  assert.deepEqual(log().map(({ by, op }) => [by, op.kind]), [["usr_ben", "note"]]);
  await ben.bury();
  const back = live();
  await until(() => log().length === 2 && !back.client.pending);
  assert.deepEqual([log()[1].by, log()[1].op.name], ["usr_ana", "Ana's"]);
});

test("changes of a tab that was closed before anybody was known are sent by who comes next", async () => {
  service.isUp = false;
  const first = live();
  const room = first.enter(CART);
  room.op(add("MUG", 2), facts("MUG")).catch(() => {});
  room.op({ kind: "rename", name: "Early" }).catch(() => {});
  await until(() => store.waiting().length === 2);
  assert.deepEqual(store.waiting().map(({ user }) => user), [null, null]);
  first.die();
  store.tab.removeItem("cartroom.client"); // The tab isn't opened again.
  service.isUp = true;
  const next = live();
  await until(() => log().length === 2 && !next.client.pending);
  await until(() => !store.waiting().length);
  assert.deepEqual(log().map(({ by, op }) => [by, op.kind]), [
    ["usr_ana", "add"],
    ["usr_ana", "rename"],
  ]);
  assert.notEqual(next.client.client, first.client.client);
});

test("what was kept of a cart shows at once, to its user alone", async () => {
  const first = live();
  const room = await isLive(first);
  await room.op(add("MUG", 2), facts("MUG"));
  await until(() => room.rev === 2);
  await new Promise((resolve) => setTimeout(resolve, 10));
  first.die();
  service.isUp = false;
  const again = live();
  const offline = again.enter(CART);
  await until(() => offline.state);
  assert.deepEqual([quantities(offline.state), offline.rev, offline.role], [{ MUG: 2 }, 2, "owner"]);
  assert.notEqual(offline.status, "live");
  offline.op({ kind: "change_quantity", line: offline.state.lines[0].line, by: 1 }).catch(() => {});
  assert.deepEqual(quantities(offline.state), { MUG: 3 });
  again.die();
  const joins = [];
  service.intercept = (frame, { reply }) => {
    if (frame.type === "cart.join") joins.push(frame.rev);
    return reply;
  };
  service.isUp = true;
  const ben = live({ user: "usr_ben" });
  const seen = [];
  const bens = ben.enter(CART);
  bens.on("change", () => seen.push(bens.state && bens.status));
  await until(() => bens.status === "live");
  assert.ok(!seen.includes("opening") || seen.indexOf("opening") < seen.indexOf(null));
  assert.equal(joins.at(-1), undefined, "who is another starts afresh");
});

test("a refusal that nobody waits for is told", async () => {
  const first = live();
  const room = await isLive(first);
  service.cut(false);
  await until(() => room.status === "away");
  room.op(add("BOWL", 4), facts("BOWL")).catch(() => {});
  room.op(add("MUG", 1), facts("MUG")).catch(() => {});
  await until(() => store.waiting().length === 2);
  first.die();
  service.isUp = true;
  const again = live();
  const told = [];
  const reopened = again.enter(CART);
  reopened.on("rejected", (refused) => told.push(refused));
  await until(() => again.rejected.length === 1 && !again.client.pending);
  const [{ cart, op, error }] = again.rejected;
  assert.deepEqual([cart, op.items[0].sku, error.code], [CART, "BOWL", "out_of_stock"]);
  assert.deepEqual(told, again.rejected);
  assert.deepEqual(quantities(reopened.state), { MUG: 1 });
});

test("a temporary refusal keeps the op, its number, and what comes after it in order", async () => {
  const room = await isLive(live());
  let refusals = 0;
  service.intercept = (frame, { reply }) => {
    if (frame.type !== "cart.op" || refusals >= 6) return reply;
    refusals += 1;
    const code = refusals % 2 ? "rate_limited" : "unavailable";
    return { id: frame.id, type: "error", code, message: "", temporary: true, retry_after_s: 0.002 };
  };
  await Promise.all([
    room.op({ kind: "rename", name: "One" }),
    room.op({ kind: "rename", name: "Two" }),
  ]);
  assert.equal(refusals, 6);
  assert.deepEqual(log().map(({ op }) => op.name), ["One", "Two"]);
});

test("who is signed out keeps what waits", async () => {
  const life = live();
  const room = await isLive(life);
  service.intercept = (frame, { reply }) =>
    frame.type === "cart.op"
      ? { id: frame.id, type: "error", code: "unauthorized", message: "", temporary: false }
      : reply;
  const renaming = room.op({ kind: "rename", name: "One" });
  await until(() => service.received.length >= 1); // It is tried again.
  await turn();
  assert.equal(life.client.pending, 1);
  service.intercept = (_frame, { reply }) => reply;
  service.cut();
  await renaming;
});

test("a cart that is gone refuses what waits; what is on its way is answered", async () => {
  const life = live({ user: "usr_ben" });
  const room = await isLive(life);
  let release;
  service.intercept = (frame, { reply }) => {
    if (frame.type !== "cart.op") return reply;
    release = () => (service.intercept = (_f, given) => given.reply);
    return undefined;
  };
  const leaving = room.op({ kind: "unshare", user: "usr_ben" });
  const late = room.op({ kind: "rename", name: "Too late" });
  await until(() => release);
  const other = life.client.room(OTHER).op({ kind: "rename", name: "Other" });
  service.push(CART, { type: "cart.gone", reason: "left" });
  await assert.rejects(late, { code: "not_found" });
  assert.equal(room.status, "gone");
  release();
  service.cut();
  const [ok] = await Promise.all([leaving, other]);
  assert.equal(ok.op.kind, "unshare");
  await until(() => !store.waiting().length);
});

test("a change that was never sent is refused once nobody can find it any more", async () => {
  const life = live({ user: "usr_ben" });
  const room = await isLive(life);
  service.intercept = (frame, { reply }) => (frame.type === "cart.op" ? undefined : reply);
  const first = room.op({ kind: "note", text: "on its way" });
  const late = room.op({ kind: "rename", name: "Too late" });
  await until(() => store.waiting().some(({ op }) => op.kind === "rename"));
  const keptThen = late.catch(() => store.waiting().map(({ op }) => op.kind));
  service.push(CART, { type: "cart.gone", reason: "removed" });
  assert.deepEqual(await keptThen, ["note"]);
  service.intercept = (_frame, { reply }) => reply;
  service.cut();
  await first;
});

test("a cart that its server can't go on with is joined again", async () => {
  const room = await isLive(live());
  const states = [];
  room.on("change", () => states.push(room.status));
  service.push(CART, { type: "cart.gone", reason: "unavailable" });
  await until(() => states.includes("away") && room.status === "live");
  await room.op({ kind: "rename", name: "On" });
});

test("a room that is left still has its changes sent", async () => {
  const life = live();
  const room = await isLive(life);
  const renaming = room.op({ kind: "rename", name: "Bye" });
  room.leave();
  assert.equal((await renaming).op.name, "Bye");
  await assert.rejects(room.op({ kind: "rename", name: "No" }), { code: "not_found" });
});

test("stop lets another client go on, start goes on with what is left", async () => {
  const one = live();
  const room = await isLive(one);
  service.cut(false);
  await until(() => room.status === "away");
  const first = room.op({ kind: "rename", name: "One" });
  await one.client.stop();
  const second = room.op({ kind: "rename", name: "Two" });
  assert.equal(room.state.name, "One", "what has no number yet isn't shown");
  service.isUp = true;
  one.client.start();
  await Promise.all([first, second]);
  assert.equal(room.state.name, "Two");

  service.cut(false);
  await until(() => room.status === "away");
  const third = room.op({ kind: "rename", name: "Three" });
  await one.client.stop();
  service.isUp = true;
  const two = live();
  await until(() => log().length === 3 && !two.client.pending);
  one.client.start();
  await assert.rejects(third, { code: "disconnected" });
  await room.op({ kind: "rename", name: "Four" });
  assert.deepEqual(log().map(({ op }) => op.name), ["One", "Two", "Three", "Four"]);
});

test("a client that is another after a pause shows its changes at once", async () => {
  const one = live();
  const room = await isLive(one);
  for (const name of ["One", "Two", "Three"]) await room.op({ kind: "rename", name });
  service.cut();
  await until(() => room.status === "away");
  await until(() => room.status === "live"); // The service has told its last number.
  service.cut(false);
  await until(() => room.status === "away");
  const former = one.client.client;
  const lost = room.op({ kind: "rename", name: "Four" });
  await one.client.stop();
  service.isUp = true;
  const two = live();
  await until(() => log().length === 4 && !two.client.pending);
  await until(() => !store.waiting().length);
  one.client.start();
  await assert.rejects(lost, { code: "disconnected" });
  await until(() => room.status === "live");
  assert.notEqual(one.client.client, former);
  const renaming = room.op({ kind: "rename", name: "Five" });
  assert.equal(room.state.name, "Five");
  await renaming;
});

test("what comes while all is thrown away isn't kept either", async () => {
  const life = live();
  const room = await isLive(life);
  const forget = store.forget.bind(store);
  store.forget = async (user) => {
    await forget(user);
    service.act(CART, "usr_ben", { kind: "rename", name: "Late" });
    await until(() => room.state.name === "Late");
  };
  await life.client.discard();
  await life.client.stop();
  assert.equal(await store.loadRoom("usr_ana", CART), null);
});

test("what is discarded isn't sent, nor are snapshots kept", async () => {
  const [one, two] = [live(), live()];
  const rooms = await Promise.all([isLive(one), isLive(two)]);
  await rooms[0].op(add("MUG", 1), facts("MUG"));
  await new Promise((resolve) => setTimeout(resolve, 10));
  service.cut(false);
  await until(() => rooms.every((room) => room.status === "away"));
  const lost = rooms[0].op({ kind: "rename", name: "One" });
  rooms[1].op({ kind: "rename", name: "Two" }).catch(() => {});
  await until(() => store.waiting().length === 2);
  two.die();
  const discarding = one.client.discard();
  await assert.rejects(lost, { code: "discarded" });
  await discarding;
  assert.deepEqual([store.waiting(), one.client.pending], [[], 0]);
  assert.equal(rooms[0].state.name, "Cart");
  assert.equal(await store.loadRoom("usr_ana", CART), null);
  assert.equal(await store.lastUser(), null);
  service.isUp = true;
  await until(() => rooms[0].status === "live");
  assert.equal(log().length, 1);
});

test("what was thrown away too late shows as what it is", async () => {
  const life = live();
  const room = await isLive(life);
  let answer;
  service.intercept = (frame, { reply }) => {
    if (frame.type !== "cart.op") return reply;
    answer = () => life.sockets.at(-1).tell(reply);
    return undefined;
  };
  const lost = room.op({ kind: "rename", name: "One" });
  await until(() => answer);
  life.client.discard();
  await assert.rejects(lost, { code: "discarded" });
  assert.equal(room.state.name, "Cart");
  answer();
  await until(() => room.rev === 2);
  assert.equal(room.state.name, "One");
});

test("no more wait than the limit says, and nothing waits for ever", async () => {
  const life = live();
  const room = await isLive(life);
  service.cut(false);
  await until(() => room.status === "away");
  for (let n = 0; n < 500; n += 1) room.op({ kind: "rename", name: `${n}` }).catch(() => {});
  await assert.rejects(room.op({ kind: "clear" }), (error) => {
    assert.ok(error instanceof CartroomError);
    return error.code === "limit_exceeded";
  });
  await until(() => store.waiting().length === 500);
  life.die();
  const now = Date.now;
  Date.now = () => now() + 31 * DAY_MS;
  try {
    const again = live();
    await until(() => again.rejected.length === 500);
    assert.equal(again.rejected[0].error.code, "expired");
    await until(() => !store.waiting().length);
  } finally {
    Date.now = now;
  }
});

test("a store that fails is told once, and changes go on in memory", async () => {
  const broken = storeToLookAt();
  const { save } = broken;
  const life = live({}, broken);
  const told = [];
  life.client.on("undurable", (error) => told.push(error.message));
  const room = await isLive(life);
  broken.save = () => Promise.reject(new Error("The quota is used up."));
  await room.op({ kind: "rename", name: "One" });
  await room.op({ kind: "rename", name: "Two" });
  assert.deepEqual(told, ["The quota is used up."]);
  assert.equal(life.client.durable, false);
  // Its numbers are lost with the page, so nobody goes on with them.
  broken.save = save;
  const before = life.client.client;
  life.die();
  const again = live({}, broken);
  await isLive(again);
  assert.notEqual(again.client.client, before);
});

test("many carts are joined again, also where the service wants it slower", async () => {
  service.limits = { ...service.limits, ops_per_s: 2000, ops_burst: 10 };
  let refusals = 0;
  service.intercept = (frame, { reply }) => {
    if (frame.type !== "cart.join" || Math.random() < 0.7) return reply;
    refusals += 1;
    const code = "rate_limited";
    return { id: frame.id, type: "error", code, message: "", temporary: true, retry_after_s: 0.001 };
  };
  const life = live();
  const rooms = Array.from({ length: 40 }, (_, n) => {
    service.makeCart(`crt_many_${n}`, "usr_ana");
    return life.client.room(`crt_many_${n}`);
  });
  await until(() => rooms.every((room) => room.status === "live"));
  service.cut();
  await until(() => rooms.every((room) => room.status === "away"));
  await until(() => rooms.every((room) => room.status === "live"));
  assert.ok(refusals);
});
