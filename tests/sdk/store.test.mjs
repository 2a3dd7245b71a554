/** The store by itself: who gets which record. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { browserStore } from "../../static/sdk/cartroom.js";
import { MemoryLocks, MemoryShelf, MemoryStore, MemoryTab } from "../../static/sdk/stores/memory.js";
import { ROOMS_MAX, Store } from "../../static/sdk/stores/store.js";

const op = (user, n = 1) => ({ cart: "crt_1", n, op: { kind: "clear" }, user, at: 1 });

test("a tab keeps its client as long as nobody else has it", async () => {
  const [shelf, locks, tab] = [new MemoryShelf(), new MemoryLocks(), new MemoryTab()];
  const first = new MemoryStore({ shelf, locks, tab });
  const { client } = await first.claim();
  await first.save({ client, n: 1, ops: [op("usr_ana")] });

  const twin = new MemoryTab();
  twin.setItem("cartroom.client", client); // As duplicating a tab does.
  const second = new MemoryStore({ shelf, locks, tab: twin });
  assert.notEqual((await second.claim()).client, client);
  assert.deepEqual(await second.adopt("usr_ana"), []);

  // The page is loaded again, and asks a little before its former self lets go.
  const reloaded = new MemoryStore({ shelf, locks, tab }).claim();
  await first.release(client);
  const record = await reloaded;
  assert.deepEqual([record.client, record.n, record.ops.length], [client, 1, 1]);
  await assert.rejects(first.save({ client, n: 2, ops: [] }), /not held/);
});

test("a record is held, however long the browser takes to lock it", async () => {
  const [shelf, locks, tab] = [new MemoryShelf(), new MemoryLocks(), new MemoryTab()];
  const slow = {
    async request(name, options, callback) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      options.signal?.throwIfAborted();
      return locks.request(name, options, callback);
    },
  };
  const store = new Store({ shelf, locks: slow, tab, claimWaitMs: 5 });
  const { client } = await store.claim();
  await store.save({ client, n: 1, ops: [op("usr_ana")] });
  assert.equal((await shelf.get("clients", client)).n, 1);

  await store.release(client); // The page is loaded again.
  const again = new Store({ shelf, locks: slow, tab, claimWaitMs: 5 });
  assert.equal((await again.claim()).client, client);
});

test("a record that another tab was quicker to send isn't adopted", async () => {
  const shelf = new MemoryShelf();
  const locks = new MemoryLocks();
  const record = { client: "c1", n: 1, ops: [op("usr_ana")], at: Date.now() };
  await shelf.put("clients", "c1", record);
  const late = {
    async request(name, options, callback) {
      await shelf.delete("clients", "c1");
      return locks.request(name, options, callback);
    },
  };
  const store = new MemoryStore({ shelf, locks: late });
  assert.deepEqual(await store.adopt("usr_ana"), []);
  await shelf.put("clients", "c1", record);
  const other = new MemoryStore({ shelf, locks });
  assert.equal((await other.adopt("usr_ana")).length, 1, "the lock was given back");
});

test("empty records of closed tabs go after a day, others stay", async () => {
  const shelf = new MemoryShelf();
  const put = (client, ops, at) => shelf.put("clients", client, { client, n: 3, ops, at });
  await put("old", [], Date.now() - 25 * 3_600_000);
  await put("new", [], Date.now());
  await put("bens", [op("usr_ben")], 0);
  await new MemoryStore({ shelf }).adopt("usr_ana");
  const left = await shelf.all("clients");
  assert.deepEqual(left.map(({ client }) => client), ["new", "bens"]);
});

test("what was made before anybody was known goes to whoever asks, or with who is forgotten", async () => {
  const shelf = new MemoryShelf();
  const ops = [op(null, 1), op("usr_ben", 2)];
  await shelf.put("clients", "c1", { client: "c1", n: 2, ops, at: 1 });
  const store = new MemoryStore({ shelf });
  assert.equal((await store.adopt("usr_ana")).length, 1);
  await store.release("c1");
  await store.forget("usr_ana");
  assert.deepEqual((await shelf.get("clients", "c1")).ops.map(({ user }) => user), ["usr_ben"]);
});

test("the latest snapshots are kept, each user's apart", async () => {
  const store = new MemoryStore();
  for (let n = 0; n <= ROOMS_MAX; n += 1) {
    await store.saveRoom({ user: "usr_ana", cart: `crt_${n}`, at: n });
  }
  assert.equal(await store.loadRoom("usr_ana", "crt_0"), null);
  assert.equal((await store.loadRoom("usr_ana", "crt_1")).at, 1);
  assert.equal(await store.loadRoom("usr_ben", "crt_1"), null);
  await store.forget("usr_ana");
  assert.equal(await store.loadRoom("usr_ana", "crt_5"), null);
});

test("without storage, locks or a database nothing outlives the page", () => {
  const whole = { storage: new MemoryTab(), locks: new MemoryLocks(), indexedDB: {} };
  assert.ok(!(browserStore(whole) instanceof MemoryStore));
  assert.ok(browserStore(whole) instanceof Store);
  for (const missing of Object.keys(whole)) {
    assert.ok(browserStore({ ...whole, [missing]: null }) instanceof MemoryStore, missing);
  }
});
