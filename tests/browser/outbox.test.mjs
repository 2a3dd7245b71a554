/**
 * Changes that outlive their tab, in a real browser with its IndexedDB and Web Locks, against a real
 * server. The tabs hold the library alone; between each of them and the server sits the test.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive, server } from "./shop.mjs";
import { CLAIM_WAIT_MS, DEADLINE_MS, eventually, Person } from "./support.mjs";

/** A tab with the library; its network is in our hands. */
class Tab {
  isOnline = true;
  /** The op_ids that it sent. */
  sent = [];
  /** Called with each answer to an op, in place of handing it on. */
  answered = null;
  #sockets = new Set();

  static async open(context) {
    const tab = new Tab();
    tab.page = await context.newPage();
    await tab.page.routeWebSocket(/\/ws$/, (socket) => tab.#connect(socket));
    return tab;
  }

  /** Load the page, or load it again, and open a cart. */
  async load(cart, client = null) {
    await this.page.goto(`${server.url}/docs`); // A page that doesn't use the library itself.
    await this.page.evaluate(loadLibrary, { cart, client, patienceMs: DEADLINE_MS });
    return this;
  }

  async goOffline() {
    this.isOnline = false;
    for (const socket of this.#sockets) socket.close({ code: 4004 });
    await this.shows(({ status }) => status !== "live");
  }

  /** Have it try at once. */
  async goOnline() {
    this.isOnline = true;
    await this.page.evaluate(() => globalThis.client.wake());
  }

  live() {
    return this.shows(({ status }) => status === "live");
  }

  settled() {
    return this.shows(({ pending }) => pending === 0);
  }

  /** Make three changes, and wait until they are stored. */
  async addThree(sku) {
    await this.page.evaluate(addThree, sku);
    await this.stored(3);
  }

  /** Wait until so many changes of this tab are in the browser's store. */
  async stored(count) {
    const waiting = () => this.page.evaluate(storedOps);
    await eventually(async () => assert.equal(await waiting(), count));
  }

  /** Wait until what it tells passes `check`. */
  shows(check) {
    return eventually(async () => {
      const told = await this.told();
      assert.ok(check(told), JSON.stringify(told));
    });
  }

  told() {
    return this.page.evaluate(() => ({
      client: globalThis.client.client,
      status: globalThis.room.status,
      rev: globalThis.room.rev,
      pending: globalThis.client.pending,
      pieces: globalThis.room.state?.totals.pieces,
    }));
  }

  #connect(socket) {
    if (!this.isOnline) {
      socket.close({ code: 4004 });
      return;
    }
    this.#sockets.add(socket);
    const upstream = socket.connectToServer();
    const ops = new Set();
    socket.onMessage((message) => {
      const { type, id, op_id } = JSON.parse(message);
      if (type === "cart.op") {
        this.sent.push(op_id);
        ops.add(id);
      }
      upstream.send(message);
    });
    upstream.onMessage((message) => {
      if (this.answered && ops.has(JSON.parse(message).id)) this.answered();
      else socket.send(message);
    });
    socket.onClose(() => {
      this.#sockets.delete(socket);
      upstream.close();
    });
  }
}

/** Runs in the page; `client` is what a closed tab that is opened again remembers. */
async function loadLibrary({ cart, client, patienceMs }) {
  if (client) sessionStorage.setItem("cartroom.client", client);
  const { Cartroom } = await import("/static/sdk/cartroom.js");
  const timings = { adopt_every_ms: 100, keep_after_ms: 10, backoff_max_ms: 1_000 };
  for (const name of ["reply_timeout_ms", "open_timeout_ms", "probe_timeout_ms", "store_timeout_ms"]) {
    timings[name] = patienceMs;
  }
  globalThis.client = new Cartroom({ url: `ws://${location.host}/ws`, timings });
  globalThis.rejected = [];
  globalThis.client.on("rejected", ({ error }) => globalThis.rejected.push(error.code));
  globalThis.client.start();
  globalThis.room = globalThis.client.room(cart);
}

/** Runs in the page. */
function addThree(sku) {
  const facts = { sku, name: sku, unit_price: 100 };
  for (let n = 0; n < 3; n += 1) {
    const op = { kind: "add", items: [{ sku, qty: 1 }] };
    globalThis.room.op(op, { products: [facts] }).catch((error) => console.error(error));
  }
}

/** Runs in the page: how many changes of this tab's client are stored. */
function storedOps() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("cartroom");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const asked = database.transaction("clients").objectStore("clients");
      const reading = asked.get(globalThis.client.client);
      reading.onsuccess = () => {
        database.close();
        resolve(reading.result?.ops.length ?? 0);
      };
    };
  });
}

/** Somebody with a cart of their own, and as many tabs on it. */
async function shopper(name, tabs) {
  const person = await (await arrive(name, { stretched: [[CLAIM_WAIT_MS, DEADLINE_MS]] })).register();
  const cart = await person.createCart("Outbox");
  await person.page.goto("about:blank");
  const opened = [];
  for (let n = 0; n < tabs; n += 1) {
    const tab = await Tab.open(person.context);
    opened.push(await tab.load(cart));
    await tab.live();
  }
  return { person, cart, opened };
}

test("two offline tabs add three each; one closes, the other sends all six", async () => {
  const { person, cart, opened } = await shopper("Ana", 2);
  const [one, two] = opened;
  const before = await two.told();
  await Promise.all(opened.map((tab) => tab.goOffline()));
  await one.addThree("MUG");
  await two.addThree("BUNTING");
  const { client, pieces } = await one.told();
  assert.equal(pieces, 3, "they show");
  assert.notEqual(client, before.client);
  await one.page.close();

  await two.goOnline();
  await two.shows(({ rev }) => rev === before.rev + 6);
  await two.settled();
  const after = await two.told();
  assert.deepEqual([after.rev, after.pieces], [before.rev + 6, 6]);
  assert.equal(two.sent.length, 6);
  assert.equal(two.sent.filter((opId) => opId.startsWith(client)).length, 3);

  const again = await (await Tab.open(person.context)).load(cart, client);
  await again.live();
  const seen = await again.told();
  assert.deepEqual([seen.rev, seen.pending, again.sent], [before.rev + 6, 0, []]);
  assert.notEqual(seen.client, client);
  await person.leave();
});

test("changes made offline outlive a reload, and count once", async () => {
  const { person, cart, opened } = await shopper("Ana", 1);
  const [tab] = opened;
  const before = await tab.told();
  await tab.goOffline();
  await tab.addThree("MUG");
  await tab.load(cart);
  await tab.shows(({ pieces }) => pieces === 3);
  const offline = await tab.told();
  assert.deepEqual([offline.client, offline.pending, offline.rev], [before.client, 3, before.rev]);
  await tab.goOnline();
  await tab.live();
  await tab.settled();
  const after = await tab.told();
  assert.deepEqual([after.rev, after.pieces], [before.rev + 3, 3]);
  await tab.load(cart);
  await tab.live();
  assert.deepEqual([(await tab.told()).rev, tab.sent.length], [before.rev + 3, 3]);
  await person.leave();
});

test("a tab is closed between sending and the answer: another tab finds out", async () => {
  const { person, opened } = await shopper("Ana", 2);
  const [one, two] = opened;
  const before = await two.told();
  const lost = new Promise((resolve) => {
    one.answered = resolve;
  });
  await one.page.evaluate(addThree, "MUG");
  await lost;
  await one.stored(3);
  await one.page.close();
  await two.shows(({ rev }) => rev === before.rev + 3);
  await two.settled();
  assert.deepEqual([one.sent.length, two.sent.length], [1, 3]);
  assert.equal(two.sent[0], one.sent[0], "sent again under its op_id");
  assert.equal((await two.told()).pieces, 3);
  assert.deepEqual(await two.page.evaluate(() => globalThis.rejected), []);
  await person.leave();
});

test("another user of the browser doesn't send what waits, nor sees it", async () => {
  const { person, cart, opened } = await shopper("Ana", 1);
  const [tab] = opened;
  const before = await tab.told();
  await tab.goOffline();
  await tab.addThree("MUG");
  await tab.page.close();
  const anas = await person.context.cookies();
  await person.context.clearCookies();
  const ben = Object.assign(new Person(), { name: "Ben", server, context: person.context });
  ben.email = `ben.${person.email}`;
  ben.page = await person.context.newPage();
  await ben.register();
  const bens = await ben.createCart("Ben's");
  await ben.page.close();

  const second = await (await Tab.open(person.context)).load(bens);
  await second.live();
  await second.page.evaluate((id) => globalThis.client.room(id), cart);
  await second.page.evaluate(() => globalThis.room.op({ kind: "rename", name: "Mine" }));
  const seen = await second.page.evaluate((id) => globalThis.client.room(id).state, cart);
  assert.deepEqual([seen, second.sent.length], [null, 1]);
  await second.page.close();

  await person.context.clearCookies();
  await person.context.addCookies(anas);
  const third = await (await Tab.open(person.context)).load(cart);
  await third.shows(({ rev }) => rev === before.rev + 3);
  await third.settled();
  assert.equal((await third.told()).pieces, 3);
  await person.leave();
});
