/** The inbox: what is asked and answered, and what is told. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Cartroom, MemoryStore } from "../../static/sdk/cartroom.js";
import { ENTRIES_MAX } from "../../static/sdk/inbox.js";
import { MemoryLocks, MemoryShelf, MemoryTab } from "../../static/sdk/stores/memory.js";
import { INBOXES_MAX } from "../../static/sdk/stores/store.js";
import { PATIENT, Service, turn, until } from "./service.mjs";

const CART = "crt_1";
const TIMINGS = { ...PATIENT, backoff_base_ms: 5 };
const ENTRY = { id: "ntf_1", kind: "changes", cart: CART, count: 4, read: false };

let service;
let clients;
/** What was asked beside greetings: `[type, fields]`. */
let asked;
let answers;

beforeEach(() => {
  service = new Service();
  service.makeCart(CART, "usr_ana", "usr_ben");
  clients = [];
  asked = [];
  answers = {};
  service.intercept = ({ id, type, ...fields }, { reply }) => {
    if (!(type in answers)) return reply;
    asked.push([type, fields]);
    return { id, ...answers[type] };
  };
});

afterEach(() => Promise.all(clients.map((client) => client.stop())));

function connect(timings = {}) {
  const client = new Cartroom({
    url: "ws://shop",
    WebSocket: service.socket("usr_ana"),
    store: new MemoryStore(),
    timings: { ...TIMINGS, ...timings },
  });
  clients.push(client);
  client.start();
  return client;
}

test("a page of the inbox is asked for, and the one after it", async () => {
  const client = connect();
  const page = { notifications: [ENTRY], unread: 3, version: 7, cursor: "next" };
  answers["notifications.list"] = { type: "ok", ...page };
  const first = await client.notifications();
  const { notifications, unread, version, cursor } = first;
  assert.deepEqual({ notifications, unread, version, cursor }, page);
  await client.notifications({ limit: 5, cursor: first.cursor });
  await client.notifications({ cursor: null });
  // What isn't given isn't sent: the service refuses keys that mean nothing.
  assert.deepEqual(asked, [
    ["notifications.list", {}],
    ["notifications.list", { limit: 5, cursor: "next" }],
    ["notifications.list", {}],
  ]);
});

test("some are marked as read, or all", async () => {
  const client = connect();
  answers["notifications.read"] = { type: "ok", unread: 2, version: 8 };
  assert.deepEqual(await client.readNotifications(["ntf_1"]), { unread: 2, version: 8 });
  answers["notifications.read"] = { type: "ok", unread: 0, version: 9 };
  assert.deepEqual(await client.readNotifications(), { unread: 0, version: 9 });
  assert.deepEqual(asked, [
    ["notifications.read", { ids: ["ntf_1"] }],
    ["notifications.read", {}],
  ]);
});

test("a cart is muted; a refusal says why not", async () => {
  const client = connect();
  answers["cart.mute"] = { type: "ok", cart: CART, muted: true };
  await client.muteCart(CART, true);
  assert.deepEqual(asked, [["cart.mute", { cart: CART, muted: true }]]);
  answers["cart.mute"] = { type: "error", code: "not_found", message: "No.", temporary: false };
  await assert.rejects(client.muteCart("crt_2", true), { code: "not_found", message: "No." });
});

test("it waits for a connection, and not for ever", async () => {
  service.isUp = false;
  const client = connect();
  answers["notifications.list"] = { type: "ok", notifications: [], unread: 0, version: 0 };
  const asking = client.notifications();
  service.isUp = true;
  assert.equal((await asking).unread, 0);

  service.isUp = false;
  const lost = connect({ live_timeout_ms: 20 });
  for (const ask of [
    () => lost.notifications(),
    () => lost.readNotifications(),
    () => lost.muteCart(CART, false),
  ]) {
    await assert.rejects(ask, { code: "disconnected", temporary: true });
  }
});

test("news are told as they come, with no cart open", async () => {
  const client = connect();
  const told = [];
  client.on("notification", (news) => told.push(news));
  await until(() => client.status === "live", "a connection");
  const news = { kind: "inbox", unread: 1, version: 8, notification: ENTRY, read: [] };
  service.tell("usr_ana", { type: "notification", ...news });
  service.tell("usr_ben", { type: "notification", ...news, unread: 7 });
  await until(() => told.length, "news");
  await turn();
  assert.deepEqual(told, [{ type: "notification", ...news }]);
});

// What is kept of it.

const page = (count, version, more = {}) => ({
  type: "ok",
  notifications: Array.from({ length: count }, (_, n) => entry(1_000 - n)),
  unread: count,
  version,
  ...more,
});

function entry(n, more = {}) {
  const id = `ntf_${String(n).padStart(4, "0")}`;
  return { id, kind: "changes", cart: CART, count: 1, read: false, at: id, ...more };
}

/** A life of a page: with the same `media` as one before, it is loaded again. */
function life(media, { user = "usr_ana", ...timings } = {}) {
  const client = new Cartroom({
    url: "ws://shop",
    WebSocket: service.socket(user),
    store: new MemoryStore(media),
    timings: { ...TIMINGS, keep_after_ms: 1, ...timings },
  });
  clients.push(client);
  client.start();
  return client;
}

function media() {
  return { shelf: new MemoryShelf(), locks: new MemoryLocks(), tab: new MemoryTab() };
}

const inboxesOf = async (shelf) => (await shelf.all("meta")).filter((one) => one.notifications);

/** Wait until what is kept passes `check`. */
async function kept(shelf, check) {
  for (const deadline = Date.now() + 120_000; ; ) {
    const [found] = await inboxesOf(shelf);
    if (found && check(found)) return found;
    assert.ok(Date.now() < deadline, JSON.stringify(found));
    await turn();
  }
}

test("what was known is there without a service, as of then, and follows what was told", async () => {
  const parts = media();
  const first = life(parts);
  answers["notifications.list"] = page(3, 7);
  assert.equal(await first.keptNotifications(), null);
  const before = Date.now();
  await first.notifications();
  const tell = (news) =>
    service.tell("usr_ana", { type: "notification", kind: "inbox", notification: null, read: [], ...news });
  tell({ unread: 2, version: 8, read: ["ntf_0999"] });
  tell({ unread: 3, version: 9, notification: entry(998, { at: "ntf_2000", count: 5 }) });
  tell({ unread: 0, version: 11, read: ["ntf_1000"] }); // One was missed: from here on it isn't known.
  tell({ unread: 0, version: 10 });
  await kept(parts.shelf, ({ version }) => version === 9);
  service.isUp = false;
  await first.stop();

  const second = life(parts);
  const { at, ...known } = await second.keptNotifications();
  assert.ok(at >= before && at <= Date.now());
  const [one, two, three] = [entry(998, { at: "ntf_2000", count: 5 }), entry(1_000), entry(999, { read: true })];
  assert.deepEqual(known, { notifications: [one, two, three], unread: 3, version: 9 });
});

test("a few of many aren't taken for the inbox; no more than the latest are kept", async () => {
  const parts = media();
  const client = life(parts);
  answers["notifications.list"] = page(1, 7, { cursor: "next" });
  await client.notifications({ limit: 1 });
  assert.equal(await client.keptNotifications(), null);
  answers["notifications.list"] = page(ENTRIES_MAX + 7, 8, { cursor: "next" });
  await client.notifications({ limit: ENTRIES_MAX + 7 });
  answers["notifications.list"] = page(12, 8);
  await client.notifications({ cursor: "next" }); // Another page.
  answers["notifications.list"] = page(1, 9, { cursor: "next" });
  await client.notifications({ limit: 1 }); // It has changed, nobody knows how.
  const known = await client.keptNotifications();
  assert.deepEqual([known.notifications.length, known.version], [ENTRIES_MAX, 8]);
  answers["notifications.list"] = page(2, 10);
  await client.notifications({ limit: 30 });
  const now = await client.keptNotifications();
  assert.deepEqual([now.notifications.length, now.version], [2, 10]);
});

test("the inbox is kept for each user apart, and goes with who signs out", async () => {
  const parts = media();
  const ana = life(parts);
  answers["notifications.list"] = page(3, 7);
  await ana.notifications();
  await kept(parts.shelf, ({ user }) => user === "usr_ana");
  await ana.stop();
  const ben = life(parts, { user: "usr_ben" });
  answers["notifications.list"] = page(1, 2, { cursor: "next" });
  await ben.notifications({ limit: 1 });
  assert.equal(await ben.keptNotifications(), null);
  answers["notifications.list"] = page(1, 2);
  await ben.notifications();
  await ben.discard();
  assert.equal(await ben.keptNotifications(), null);
  assert.deepEqual((await inboxesOf(parts.shelf)).map(({ user }) => user), ["usr_ana"]);
  await ben.stop();
  const again = life(parts);
  await until(() => again.status === "live", "a connection");
  assert.equal((await again.keptNotifications()).version, 7);
  await again.discard();
  assert.deepEqual(await inboxesOf(parts.shelf), []);
});

test("of users who come and go the last ones' are kept", async () => {
  const store = new MemoryStore();
  for (let n = 0; n <= INBOXES_MAX; n += 1) {
    await store.saveInbox({ user: `usr_${n}`, notifications: [], unread: 0, version: 1, at: n });
  }
  await store.remember({ id: "usr_1", name: "One" });
  assert.equal(await store.loadInbox("usr_0"), null);
  assert.equal((await store.loadInbox("usr_1")).at, 1);
  await store.saveInbox({ user: "usr_1", notifications: [], unread: 0, version: 1, at: 9 });
  assert.equal((await store.lastUser()).name, "One");
});
