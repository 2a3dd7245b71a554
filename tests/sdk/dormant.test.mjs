/** What nobody looks at isn't followed for long, and isn't missed either. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { Cartroom, MemoryStore } from "../../static/sdk/cartroom.js";
import { PATIENT, Service, turn, until } from "./service.mjs";

const CART = "crt_1";
const TIMINGS = { ...PATIENT, backoff_base_ms: 5, backoff_max_ms: 5, rest_after_ms: 5, keep_after_ms: 1 };
const RENAME = { kind: "rename", name: "Feast" };

let service;
let client;
let room;
/** What was asked about the cart. */
let asked;

beforeEach(async () => {
  service = new Service();
  service.makeCart(CART, "usr_ana", "usr_ben");
  asked = [];
  service.intercept = ({ type, cart, rev }, { reply }) => {
    if (cart) asked.push(rev === undefined ? type : `${type} ${rev}`);
    return reply;
  };
  const WebSocket = service.socket("usr_ana");
  client = new Cartroom({ url: "ws://shop", WebSocket, store: new MemoryStore(), timings: TIMINGS });
  client.start();
  room = client.room(CART);
  await until(() => room.status === "live", "a room that is live");
});

afterEach(() => client.stop());

async function rests() {
  client.dormant = true;
  await until(() => room.status === "away", "a room at rest");
  await until(() => asked.includes("cart.leave"), "that the service knows");
}

test("nobody looks: the cart is left, and joined where it was left when somebody does", async () => {
  await rests();
  assert.equal(client.status, "live");
  service.act(CART, "usr_ben", RENAME);
  await turn();
  assert.equal(room.state.name, "Cart"); // It is shown as it was.
  const heard = [];
  room.on("op", ({ rev, live }) => heard.push({ rev, live }));
  client.dormant = false;
  await until(() => room.state.name === "Feast", "what was missed");
  assert.deepEqual(heard, [{ rev: 2, live: false }]);
  assert.deepEqual(asked, ["cart.join", "cart.leave", "cart.join 1"]);
});

test("who looks again soon hasn't left", async () => {
  client.dormant = true;
  client.dormant = false;
  await pause(4 * TIMINGS.rest_after_ms);
  assert.equal(room.status, "live");
  assert.deepEqual(asked, ["cart.join"]);
});

test("a new connection brings nothing back that nobody looks at", async () => {
  await rests();
  service.cut();
  await until(() => client.status !== "live", "the end of the connection");
  await until(() => client.status === "live", "a new connection");
  await pause(20);
  assert.equal(room.status, "away");
  client.dormant = false;
  await until(() => room.status === "live", "the cart again");
});

test("a cart is left once what waits there is answered, and when it was just being joined", async () => {
  await rests();
  await room.op(RENAME);
  await until(() => asked.length === 5, "that the cart is left again");
  assert.deepEqual(asked, ["cart.join", "cart.leave", "cart.join 1", "cart.op", "cart.leave"]);

  client.dormant = false;
  let answer;
  service.intercept = ({ type }, { reply, answerLater }) => {
    if (type !== "cart.join") return reply;
    answer = answerLater;
    return undefined;
  };
  await until(() => answer, "a join that is under way");
  client.dormant = true;
  await pause(4 * TIMINGS.rest_after_ms);
  service.intercept = ({ type, cart }, { reply }) => {
    if (cart) asked.push(type);
    return reply;
  };
  answer();
  await until(() => asked.length === 6, "that it is left");
  assert.deepEqual([asked.at(-1), room.status], ["cart.leave", "away"]);
});

test("changes are sent all the same", async () => {
  await rests();
  const { rev } = await room.op(RENAME);
  assert.equal(rev, 2);
  assert.equal(room.committed.name, "Feast");

  // And what waits for an answer isn't left alone.
  service.intercept = ({ type }, { reply }) => (type === "cart.op" ? undefined : reply);
  room.op({ kind: "rename", name: "Lunch" });
  client.dormant = false;
  await until(() => room.status === "live", "the cart again");
  client.dormant = true;
  await pause(4 * TIMINGS.rest_after_ms);
  assert.equal(room.status, "live");
});
