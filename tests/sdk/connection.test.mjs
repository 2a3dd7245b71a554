/** How the connection behaves over time and by close code, with a clock and a socket of our own. */

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Connection } from "../../static/sdk/connection.js";

/** Stands for the browser's WebSocket; the test plays the server. */
class FakeSocket {
  static opened = [];
  readyState = 0;
  sent = [];

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    FakeSocket.opened.push(this);
  }

  send(frame) {
    this.sent.push(JSON.parse(frame));
  }

  close(code) {
    this.readyState = 2;
    this.closedWith = code;
  }

  // The server's side.

  accept() {
    this.readyState = 1;
    this.onopen({});
  }

  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  async welcome(lifeMs = null) {
    this.accept();
    await settled();
    const limits = { frame_bytes: 1000 };
    const expires_at = lifeMs && new Date(Date.now() + lifeMs).toISOString();
    const told = { user: {}, heartbeat_s: 10, limits, expires_at };
    this.say({ id: this.sent[0].id, type: "welcome", ...told });
    await settled();
  }

  async end(code) {
    this.readyState = 3;
    this.onclose({ code, reason: "" });
    await settled();
  }
}

/** Let promises run that are ready to. */
async function settled() {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

const latest = () => FakeSocket.opened.at(-1);
const CLIENT = "a3c1f0de-0000-4000-8000-000000000001";

function connect({ random = () => 1, token = () => "secret" } = {}) {
  const connection = new Connection({
    url: "ws://shop.example/ws",
    client: () => CLIENT,
    token,
    WebSocket: FakeSocket,
    random,
  });
  connection.start();
  return connection;
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
  mock.method(console, "error", () => {});
  FakeSocket.opened = [];
});

test("hello says who we are, and pings go out within every heartbeat", async () => {
  const connection = connect();
  assert.deepEqual(latest().protocols, ["cartroom.v1"]);
  await latest().welcome();
  assert.equal(connection.status, "live");
  const [hello] = latest().sent;
  assert.deepEqual(hello, { id: hello.id, type: "hello", client: CLIENT, token: "secret" });
  for (let beat = 1; beat <= 3; beat += 1) {
    mock.timers.tick(9_999);
    const pings = latest().sent.filter(({ type }) => type === "ping");
    assert.equal(pings.length, beat);
    latest().say({ id: pings.at(-1).id, type: "pong" });
  }
  assert.equal(connection.status, "live");
});

test("a reply that doesn't come ends the connection and starts another", async () => {
  const connection = connect();
  await latest().welcome();
  const asked = connection.request("cart.list");
  mock.timers.tick(15_000);
  await assert.rejects(asked, { code: "disconnected", temporary: true });
  assert.equal(FakeSocket.opened[0].closedWith, 4000);
  mock.timers.tick(500);
  assert.equal(FakeSocket.opened.length, 2);
});

test("a service that can't be reached is tried again, also with sockets that want their errors heard", async () => {
  const connection = connect();
  latest().onerror({ message: "connect ECONNREFUSED" });
  await latest().end(1006);
  assert.equal(connection.status, "waiting");
  mock.timers.tick(500);
  assert.equal(FakeSocket.opened.length, 2);
});

test("a socket that is closing is sent nothing, and its close answers", async () => {
  const connection = connect();
  await latest().welcome();
  const before = latest().sent.length;
  latest().readyState = 2; // The service closes it; the event is on its way.
  const asked = connection.request("cart.list");
  assert.equal(latest().sent.length, before);
  latest().end(1001);
  await assert.rejects(asked, { code: "disconnected", temporary: true });
});

for (const code of [1001, 1006, 1011, 1012, 1013, 4000, 4001, 4004, 4499, 4502]) {
  test(`after ${code} it connects again`, async () => {
    const connection = connect();
    await latest().welcome();
    await latest().end(code);
    assert.equal(connection.status, "waiting");
    mock.timers.tick(500);
    assert.equal(FakeSocket.opened.length, 2);
  });
}

for (const code of [1002, 1003, 1007, 1009, 4500, 4999]) {
  test(`after ${code} it doesn't`, async () => {
    const connection = connect();
    await latest().welcome();
    await latest().end(code);
    assert.equal(connection.status, "failed");
    mock.timers.tick(3_600_000);
    assert.equal(FakeSocket.opened.length, 1);
  });
}

for (const code of [4501, 4503]) {
  test(`after ${code} somebody must sign in again`, async () => {
    const connection = connect();
    let refused = null;
    connection.on("refused", (error) => (refused = error));
    await latest().welcome();
    await latest().end(code);
    assert.equal(refused.code, "unauthorized");
    mock.timers.tick(3_600_000);
    assert.equal(FakeSocket.opened.length, 1);
  });
}

test("a refused hello asks to sign in once, though a close follows", async () => {
  const connection = connect();
  let refusals = 0;
  connection.on("refused", () => (refusals += 1));
  const socket = latest();
  socket.accept();
  socket.say({ id: 1, type: "error", code: "unauthorized", message: "No.", temporary: false });
  await settled();
  await socket.end(4501);
  assert.equal(refusals, 1);
  assert.equal(connection.status, "stopped");
});

test("waits double up to half a minute, by chance less, and start over after a good one", async () => {
  const connection = connect();
  const waits = [];
  for (let attempt = 0; attempt < 9; attempt += 1) {
    await latest().end(1006);
    waits.push(connection.retryAt - Date.now());
    mock.timers.tick(waits.at(-1));
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  await latest().welcome();
  mock.timers.tick(8_000);
  mock.timers.tick(1_500);
  latest().say({ id: latest().sent.at(-1).id, type: "pong" });
  mock.timers.tick(1_000);
  await latest().end(1006);
  assert.equal(connection.retryAt - Date.now(), 500);

  const lucky = connect({ random: () => 0.25 });
  await latest().end(1006);
  assert.equal(lucky.retryAt - Date.now(), 125);
});

test("goodbye says how long to stay away", async () => {
  const connection = connect();
  await latest().welcome();
  latest().say({ type: "goodbye", code: 1001, reason: "draining", retry_after_s: 7 });
  await latest().end(1001);
  assert.equal(connection.retryAt - Date.now(), 7_500);
  mock.timers.tick(7_499);
  assert.equal(FakeSocket.opened.length, 1);
  mock.timers.tick(1);
  assert.equal(FakeSocket.opened.length, 2);
});

test("a hidden tab that missed its heartbeat waits until somebody looks", async () => {
  const connection = connect();
  await latest().welcome();
  connection.dormant = true;
  await latest().end(4000);
  mock.timers.tick(3_600_000);
  assert.equal(FakeSocket.opened.length, 1);
  connection.dormant = false;
  assert.equal(FakeSocket.opened.length, 2);
});

test("what is too long for the service isn't sent", async () => {
  const connection = connect();
  await latest().welcome();
  const asked = connection.request("cart.op", { op: { text: "ü".repeat(600) } });
  await assert.rejects(asked, { code: "too_large" });
  assert.equal(latest().sent.length, 1);
});

test("no more requests wait than the limit says", async () => {
  const connection = connect();
  await latest().welcome();
  const first = Array.from({ length: 256 }, () => connection.request("ping").catch(() => {}));
  await assert.rejects(connection.request("ping"), { code: "rate_limited", temporary: true });
  connection.stop();
  await Promise.all(first);
});

/** Tokens as they are asked for, one after the other. */
function fresh() {
  let count = 0;
  return async () => `token ${(count += 1)}`;
}

/** Let time go by on a socket whose server answers pings. */
async function pass(socket, ms) {
  for (let left = ms; left > 0; left -= 5_000) {
    mock.timers.tick(Math.min(left, 5_000));
    await settled();
    for (const { id, type } of socket.sent.slice(-2)) {
      if (type === "ping") socket.say({ id, type: "pong" }); // known ones are ignored
    }
  }
}

const sentTokens = (socket) =>
  socket.sent.filter(({ token }) => token).map(({ type, token }) => [type, token]);

test("a token is renewed before it ends, again and again", async () => {
  connect({ token: fresh() });
  const socket = latest();
  await socket.welcome(600_000);
  await pass(socket, 539_999);
  assert.deepEqual(sentTokens(socket), [["hello", "token 1"]]);
  mock.timers.tick(1);
  await settled();
  const renewal = socket.sent.at(-1);
  assert.deepEqual([renewal.type, renewal.token], ["auth.renew", "token 2"]);
  const expires_at = new Date(Date.now() + 30_000).toISOString();
  socket.say({ id: renewal.id, type: "ok", expires_at });
  await settled();
  await pass(socket, 20_000);
  assert.deepEqual(sentTokens(socket).at(-1), ["auth.renew", "token 3"]);
});

test("a renewal that fails is tried again, and a token that ends starts afresh", async () => {
  mock.method(console, "warn", () => {});
  let reachable = true;
  const give = fresh();
  const token = async () => {
    if (!reachable) throw new Error("The network is away.");
    return give();
  };
  const connection = connect({ token });
  await latest().welcome(20_000);
  reachable = false;
  mock.timers.tick(14_000);
  await settled();
  reachable = true;
  mock.timers.tick(5_000);
  await settled();
  assert.deepEqual(sentTokens(latest()).at(-1), ["auth.renew", "token 2"]);
  await latest().end(4502);
  mock.timers.tick(500);
  await latest().welcome();
  assert.deepEqual(sentTokens(latest()), [["hello", "token 3"]]);
  assert.equal(connection.status, "live");
});

test("without a token there is none to send, and a session of days is prolonged daily", async () => {
  connect({ token: () => null });
  const socket = latest();
  await socket.welcome(30 * 86_400_000);
  assert.equal("token" in socket.sent[0], false);
  await pass(socket, 86_400_000);
  const renewals = socket.sent.filter(({ type }) => type === "auth.renew");
  assert.equal(renewals.length, 1);
  assert.equal("token" in renewals[0], false);
});

test("a token that can't be had is a failure on the way, unless one must sign in", async () => {
  let error = new Error("The network is away.");
  const connection = connect({ token: () => Promise.reject(error) });
  let refused = null;
  connection.on("refused", (reason) => (refused = reason));
  latest().accept();
  await settled();
  assert.equal(connection.status, "waiting");
  error = Object.assign(new Error("Sign in."), { code: "unauthorized" });
  mock.timers.tick(500);
  latest().accept();
  await settled();
  assert.deepEqual([connection.status, refused], ["stopped", error]);
});
