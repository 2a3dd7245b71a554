/** A large cart: it is drawn by a few lines a frame, and others go on changing it meanwhile. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { difference, readPage, wantedOf } from "../../bench/page/comparing.mjs";
import { Member, register } from "../../bench/page/crowd.mjs";
import { arrive, server } from "./shop.mjs";
import { eventually } from "./support.mjs";

const OTHERS = 19;
const LINES = 500;
const ITEMS_MAX = 200;
/** Products, and how many there are of each: a piece for so many members. */
const STOCK = [
  ["MUG", 500],
  ...Array.from({ length: 24 }, (_, at) => [`CARD-${39 - at}`, 39 - at]),
  ["BUNTING", Infinity],
];
const HELD_AT = 40;

/** A cart of 500 lines, owned by the member that comes back, and some people's. */
async function largeCart() {
  const owner = await Member.arrive(server.url, "Olga Large");
  const names = Array.from({ length: OTHERS }, (_, at) => `Large ${at}`);
  const others = await Promise.all(names.map((name) => register(server.url, name)));
  const { cart } = await owner.client.createCart({ name: "A large cart", currency: "EUR" });
  await owner.join(cart);
  const users = others.map(({ user }) => ({ user: user.id, role: "editor" }));
  await owner.room.op({ kind: "share", users });
  const whom = [owner, ...others].map(({ user }) => user.id);
  const items = STOCK.flatMap(([sku, pieces]) =>
    whom.slice(0, pieces).map((user) => ({ sku, qty: 1, for: user })),
  );
  for (let at = 0; at < LINES; at += ITEMS_MAX) {
    const some = items.slice(at, Math.min(at + ITEMS_MAX, LINES));
    await owner.room.op({ kind: "add", items: some });
  }
  return { owner, cart };
}

/** Have the page draw no further frame once it shows so many lines, until `goOn()` is called. */
function holdFrames(lines) {
  const soon = globalThis.requestAnimationFrame.bind(globalThis);
  const waiting = [];
  let holds = true;
  const held = () => holds && document.querySelectorAll("cart-line").length >= lines;
  globalThis.requestAnimationFrame = (act) =>
    soon((now) => (held() ? waiting.push(act) : act(now)));
  globalThis.isHeld = () => waiting.length > 0;
  globalThis.goOn = () => {
    holds = false;
    for (const act of waiting.splice(0)) soon(act);
  };
}

/** Asked by the clock: there are no frames to ask with. */
const isHeld = (page) => page.waitForFunction(() => globalThis.isHeld(), null, { polling: 50 });

/** Change lines at the cart's beginning and at its end: all that can happen to them. */
async function changeAround(room) {
  const lines = room.state.lines.map(({ line }) => line);
  const ops = [
    { kind: "change_quantity", line: lines[0], by: 2 },
    { kind: "remove", line: lines[1] },
    { kind: "save_for_later", line: lines[20] },
    { kind: "note", line: lines.at(-1), text: "Written while it was drawn" },
    { kind: "set_quantity", line: lines.at(-2), qty: 3 },
    { kind: "remove", line: lines.at(-3) },
    { kind: "save_for_later", line: lines.at(-4) },
    { kind: "add", items: [{ sku: "SOCKS", qty: 2 }] },
  ];
  for (const op of ops) await room.op(op);
  return ops.length;
}

const asIs = (olga, owner) =>
  eventually(async () => {
    const wanted = wantedOf(owner.room.committed, owner.user.id);
    assert.equal(difference(await olga.page.evaluate(readPage), wanted), "");
  });

test("500 lines are shown, all and in order, though others change them meanwhile", async () => {
  const { owner, cart } = await largeCart();
  const olga = await arrive("Olga");
  await olga.page.addInitScript(holdFrames, HELD_AT);
  let heard = 0;
  olga.page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => {
      const frame = JSON.parse(payload);
      if (frame.type === "cart.ops") heard += frame.ops.length;
    });
  });
  await olga.open(`/#/cart/${cart}`);
  await olga.signIn(owner.email, owner.password);
  await isHeld(olga.page);
  const made = await olga.page.locator("cart-line").count();
  assert.ok(made < LINES, `${made} lines were made before any frame was held`);
  const held = owner.room.state.lines.filter((line) => line.for === owner.user.id)[2];
  const qty = olga.page.locator(`[data-line="${held.line}"] .qty`);
  await qty.focus();

  const sent = await changeAround(owner.room);
  await eventually(() => assert.equal(heard, sent));
  await olga.page.evaluate(() => globalThis.goOn());
  await asIs(olga, owner);
  assert.ok(await qty.evaluate((field) => field === document.activeElement), "the focus is lost");

  // What comes near gets what it takes to change it.
  const last = olga.page.locator("cart-line").last();
  await last.scrollIntoViewIfNeeded();
  await last.getByRole("button", { name: /^Remove/ }).waitFor();
  await olga.page.locator(".side .product").nth(23).waitFor();

  await olga.page.reload();
  await isHeld(olga.page);
  await owner.room.op({ kind: "change_quantity", line: held.line, by: 1 });
  await olga.page.evaluate(() => globalThis.goOn());
  await asIs(olga, owner);
  owner.client.stop();
  await olga.leave();
});
