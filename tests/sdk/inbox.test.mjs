/** The inbox: what is asked and answered, and what is told. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Cartroom, MemoryStore } from "../../static/sdk/cartroom.js";
import { Service, turn, until } from "./service.mjs";

const CART = "crt_1";
const TIMINGS = { backoff_base_ms: 5, live_timeout_ms: 5_000 };
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
