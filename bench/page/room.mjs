/**
 * A large cart at a slow computer: a service, Chromium that shows a cart to its owner with the CPU
 * slowed down, and members who edit it. `scripts/bench-room` starts it.
 *
 *     node bench/page/room.mjs [--seconds 60] [--lines 500] [--members 20] [--rate 40]
 *         [--slowdown 4] [--seed 1] [--trace FILE]
 *
 * Tells the tasks of the page's main thread that were long, what was shown, and whether the page
 * ends as the cart does; ends with 1 if it doesn't, or if a task had more than 100 ms of its own, or
 * one of editing took more than 100 ms by the clock.
 */

import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

import { eventually, given, Server } from "../../tests/browser/server.mjs";
import { difference, LOCALE, readPage, wantedOf } from "./comparing.mjs";
import { fillCart, Member, product, randomOf } from "./crowd.mjs";

const LONGEST_MAX_MS = 100;
/** After the last edit everything has come, moved and been drawn. */
const SETTLE_MS = 3_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    lines: { type: "string", default: "500" },
    members: { type: "string", default: "20" },
    rate: { type: "string", default: "40" },
    slowdown: { type: "string", default: "4" },
    seed: { type: "string", default: "1" },
    trace: { type: "string" },
  },
});
const { trace, ...numbers } = values;
const settings = Object.fromEntries(
  Object.entries(numbers).map(([name, value]) => [name, Number(value)]),
);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Put as many products as there are lines into the catalog of the running service. */
async function importProducts() {
  const folder = await mkdtemp(join(tmpdir(), "room-"));
  const file = join(folder, "products.jsonl");
  const products = Array.from({ length: settings.lines }, (_, at) => JSON.stringify(product(at)));
  await writeFile(file, `${products.join("\n")}\n`);
  const launcher = JSON.parse(given("CARTROOM_TEST_LAUNCHER"));
  const [command, ...rest] = launcher.map((part) => (part === "PID" ? String(process.pid) : part));
  const importing = spawn(command, [...rest, "import", file], { stdio: ["ignore", 2, 2] });
  const status = await new Promise((resolve) => importing.once("exit", resolve));
  await rm(folder, { recursive: true });
  if (status !== 0) throw new Error(`the import ended with ${status}`);
}

/** The owner at the page; `ops` counts what came in. */
async function lookAt(browser, url, owner, cart) {
  const context = await browser.newContext({ locale: LOCALE, viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const seen = { page, ops: 0 };
  page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => {
      const frame = JSON.parse(payload);
      if (frame.type === "cart.ops" && frame.cart === cart) seen.ops += frame.ops.length;
    });
  });
  page.on("pageerror", (error) => console.error(error));
  await page.goto(`${url}/#/signin`);
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill(owner.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".status", { hasText: "Live" }).waitFor();
  return seen;
}

async function shown(page, lines) {
  await page.waitForFunction(
    (wanted) => document.querySelectorAll("cart-line").length >= wanted,
    lines,
    { timeout: 120_000 },
  );
}

/** Record what Chromium's threads do while `act` runs; the recording is kept for its tools if asked. */
async function traced(browser, page, act) {
  const categories = ["toplevel", "blink.user_timing", "devtools.timeline"];
  await browser.startTracing(page, { categories });
  await act();
  const recording = await browser.stopTracing();
  if (trace) await writeFile(trace, recording);
  return JSON.parse(recording).traceEvents;
}

/** The tasks between two marks on the page's main thread: `{clock, own}` in ms. */
function tasksBetween(events, from, to) {
  const markOf = (name) => events.find((event) => event.cat?.includes("user_timing") && event.name === name);
  const [start, end] = [markOf(from), markOf(to)];
  return events
    .filter(({ name, ph, pid, tid, ts }) => {
      const here = pid === start.pid && tid === start.tid && ts >= start.ts && ts <= end.ts;
      return here && ph === "X" && name === "ThreadControllerImpl::RunTask";
    })
    .map(({ dur, tdur }) => ({ clock: dur / 1000, own: (tdur ?? dur) / 1000 }));
}

/** The longest of the tasks, `{own, clock}`; a machine that does other work, too, stretches the clock's. */
function tell(name, tasks) {
  console.log(`${name}: ${tasks.length} tasks`);
  const kinds = { own: "by the thread's own time", clock: "by the clock" };
  for (const [kind, words] of Object.entries(kinds)) {
    const times = tasks.map((task) => task[kind]).toSorted((one, other) => other - one);
    const over = (ms) => times.filter((time) => time > ms).length;
    const longest = `longest ${(times[0] ?? 0).toFixed(1)} ms`;
    console.log(`  ${words}: ${longest}; over 50 ms: ${over(50)}, over 100 ms: ${over(100)}`);
  }
  const longestOf = (kind) => Math.max(0, ...tasks.map((task) => task[kind]));
  return { own: longestOf("own"), clock: longestOf("clock") };
}

async function editing(members) {
  const random = randomOf(settings.seed);
  const everyMs = (1000 * members.length) / settings.rate;
  for (const member of members) member.edit(random, everyMs, settings.lines);
  await pause(1000 * settings.seconds);
  for (const member of members) member.stop();
  while (members.some(({ client }) => client.pending)) await pause(50);
}

async function run(server, browser) {
  await importProducts();
  const owner = await Member.arrive(server.url, "Olga Owner");
  const names = Array.from({ length: settings.members }, (_, at) => `Member ${at + 1}`);
  const members = await Promise.all(names.map((name) => Member.arrive(server.url, name)));
  const other = await fillCart(owner, members.slice(0, 1), 1);
  const cart = await fillCart(owner, members, settings.lines);
  const seen = await lookAt(browser, server.url, owner, cart);
  const { page } = seen;
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: settings.slowdown });
  let before = 0;
  const mark = (name) => page.evaluate((text) => void performance.mark(text), name);
  const open = (id) => page.evaluate((hash) => void (location.hash = hash), `#/cart/${id}`);
  const events = await traced(browser, page, async () => {
    await mark("opening");
    await open(cart);
    await shown(page, settings.lines);
    await pause(SETTLE_MS);
    await mark("switching");
    await open(other);
    await page.waitForFunction(() => document.querySelectorAll("cart-line").length === 1);
    await open(cart);
    await shown(page, settings.lines);
    await pause(SETTLE_MS);
    await mark("editing");
    before = seen.ops;
    await editing(members);
    await pause(SETTLE_MS);
    await mark("done");
  });
  const opening = tell("Opening the cart", tasksBetween(events, "opening", "switching"));
  const switching = tell("To another cart and back", tasksBetween(events, "switching", "editing"));
  const live = tell("Editing", tasksBetween(events, "editing", "done"));
  const sent = members.reduce((sum, { done }) => sum + done, 0);
  console.log(`ops acknowledged to members: ${sent}; rendered: ${seen.ops - before}`);

  await devtools.send("Emulation.setCPUThrottlingRate", { rate: 1 });
  const wanted = wantedOf(owner.room.committed, owner.user.id);
  let differs = "";
  await eventually(async () => {
    differs = difference(await page.evaluate(readPage), wanted);
    if (differs) throw new Error(differs);
  }).catch((error) => console.log(`The page is not as the cart: ${error.message}`));
  if (!differs) {
    const { lines, saved } = owner.room.committed;
    console.log(`The page is as the cart: ${lines.length} lines, ${saved.length} saved for later`);
  }
  for (const { client } of [owner, ...members]) client.stop();
  return !differs && Math.max(opening.own, switching.own, live.own, live.clock) <= LONGEST_MAX_MS;
}

const server = new Server();
const browser = await chromium.launch({ executablePath: given("CARTROOM_TEST_CHROMIUM") });
try {
  await server.start();
  if (!(await run(server, browser))) process.exitCode = 1;
} finally {
  await browser.close();
  await server.end();
}
