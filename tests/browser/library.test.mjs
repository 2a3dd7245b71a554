/** The client library against a real server: what it makes of ops is what the server has. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive } from "./shop.mjs";

test("every op kind leaves the same state as joining afresh", async () => {
  const ana = await (await arrive("Ana")).register();
  const ben = await (await arrive("Ben")).register();
  const outcome = await ana.page.evaluate(everyKind, ben.id);
  const { kinds, followed, fresh } = outcome;
  assert.deepEqual(followed, fresh);
  assert.deepEqual(kinds, [
    "add",
    "change_quantity",
    "clear",
    "move_to_cart",
    "note",
    "remove",
    "rename",
    "save_for_later",
    "set_quantity",
    "share",
    "unshare",
  ]);
  assert.equal(fresh.state.saved.length, 1);
  await ben.leave();
  await ana.leave();
});

/** Runs in the page: one client makes the ops, one follows them, one joins at the end. */
async function everyKind(ben) {
  const { Cartroom, MemoryStore } = await import("/static/sdk/cartroom.js");
  const connect = async () => {
    const url = `ws://${location.host}/ws`;
    const client = new Cartroom({ url, store: new MemoryStore() });
    client.start();
    return client;
  };
  const caughtUp = (room, rev) =>
    new Promise((resolve) => {
      const check = () => room.state && room.rev >= rev && resolve();
      room.on("change", check);
      check();
    });

  const [writer, reader] = [await connect(), await connect()];
  const { cart } = await writer.createCart({ name: "Vectors", currency: "EUR" });
  const [room, following] = [writer.room(cart), reader.room(cart)];
  await caughtUp(following, 1);
  const kinds = new Set();
  following.on("op", ({ op }) => kinds.add(op.kind));

  const op = (fields) => room.op(fields);
  const add = async (sku, qty, more = {}) => {
    const reply = await op({ kind: "add", items: [{ sku, qty, ...more }] });
    return reply.results[0].line;
  };
  await op({ kind: "share", users: [{ user: ben, role: "viewer" }] });
  const mug = await add("MUG", 2);
  const bens = await add("MUG", 3, { for: ben });
  await add("MUG", 1);
  await op({
    kind: "add",
    items: [
      { sku: "BUNTING", qty: 4 },
      { sku: "BUNTING", qty: 1 },
    ],
  });
  await op({ kind: "change_quantity", line: mug, by: 5 });
  await op({ kind: "set_quantity", line: bens, qty: 7 });
  await op({ kind: "note", line: mug, text: "the blue one" });
  await op({ kind: "note", text: "for Saturday" });
  await op({ kind: "save_for_later", line: mug });
  await op({ kind: "save_for_later", line: mug });
  await op({ kind: "note", line: mug, text: "or the green one" });
  await add("MUG", 1);
  await op({ kind: "move_to_cart", line: mug });
  await op({ kind: "share", users: [{ user: ben, role: "editor" }] });
  const twin = room.state.lines.find((line) => line.sku === "MUG" && line.for !== ben);
  await op({ kind: "save_for_later", line: twin.line });
  await op({ kind: "remove", line: bens });
  await op({ kind: "unshare", user: ben });
  await op({ kind: "rename", name: "Vectors, renamed" });
  await op({ kind: "clear" });
  const { rev } = await op({ kind: "add", items: [{ sku: "BUNTING", qty: 2 }] });

  await caughtUp(following, rev);
  const late = await connect();
  const joined = late.room(cart);
  await caughtUp(joined, rev);
  const told = ({ state, rev: at, role }) => ({ state, rev: at, role });
  const outcome = { kinds: [...kinds].sort(), followed: told(following), fresh: told(joined) };
  for (const client of [writer, reader, late]) client.stop();
  if (JSON.stringify(told(room)) !== JSON.stringify(outcome.fresh))
    throw new Error("the writer differs");
  return outcome;
}
