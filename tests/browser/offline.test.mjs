/** The page where there is no network, and after a new version of it came. */

import assert from "node:assert/strict";
import { appendFile, cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { DEADLINE_MS, eventually, openBrowser, Person, Server } from "./support.mjs";

const STATIC = fileURLToPath(new URL("../../static", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FIRST_VISIT_BYTES_MAX = 100 * 1024;
const CUT_OFF = /ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED|ERR_FAILED/;

let browser;
let folder;
let server;

before(async () => {
  // The server's files are a copy that may be changed.
  folder = await mkdtemp(join(tmpdir(), "static-"));
  await cp(STATIC, join(folder, "static"), { recursive: true });
  await waitForTheService(join(folder, "static", "sw.js"));
  server = new Server({ PYTHONSAFEPATH: "1", PYTHONPATH: `${folder}:${ROOT}` });
  [browser] = await Promise.all([openBrowser(), server.start()]);
});

after(async () => {
  await browser?.close();
  await server.end();
  await rm(folder, { recursive: true, maxRetries: 5 });
});

/** A worker takes the service for away when it doesn't answer in time: here it may take its time. */
async function waitForTheService(worker) {
  const source = await readFile(worker, "utf-8");
  const patient = source.replace(/const ANSWER_MS = [\d_]+;/, `const ANSWER_MS = ${DEADLINE_MS};`);
  assert.notEqual(patient, source);
  await writeFile(worker, patient);
}

/** Somebody whose browser keeps the page by now. */
async function keeper(name) {
  const person = await Person.arrive(browser, server, name, { keeps: true });
  await person.register();
  await person.page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
  return person;
}

/** The caches of the page's versions, oldest first. */
function versions(person) {
  return person.page.evaluate(() => caches.keys());
}

/** Whether no worker of the page's is on its way any more. */
function settled(person) {
  return person.page.evaluate(async () => {
    const { active, installing, waiting } = await navigator.serviceWorker.getRegistration();
    return active?.state === "activated" && !installing && !waiting;
  });
}

function signedInAs(person) {
  return person.page.locator("#header").getByRole("button", { name: `Your account: ${person.name}` });
}

/** What the browser says of a network that isn't there is no fault of the page. */
async function leave(person) {
  await person.context.close(); // Nothing more is said after that.
  person.forgive(CUT_OFF);
  await person.leave();
}

test("a first visit loads less than 100 KB, heads and all", async () => {
  const visitor = await Person.arrive(browser, server, "Vera");
  const finished = [];
  visitor.page.on("requestfinished", (request) => finished.push(request));
  await visitor.page.goto(server.url, { waitUntil: "networkidle" });
  const sizes = await Promise.all(
    finished.map(async (request) => {
      const { responseBodySize, responseHeadersSize } = await request.sizes();
      return [responseBodySize + responseHeadersSize, new URL(request.url()).pathname];
    }),
  );
  const total = sizes.reduce((sum, [bytes]) => sum + bytes, 0);
  sizes.sort(([one], [other]) => other - one);
  const told = `${total} bytes in ${sizes.length} answers; the largest:`;
  const largest = sizes.slice(0, 10).map((each) => each.join(" "));
  console.log([told, ...largest].join("\n"));
  assert.ok(total > 10_000 && total <= FIRST_VISIT_BYTES_MAX, told);
  await visitor.leave();
});

test("without a network the page opens, and goes on when that is back", async () => {
  const ana = await keeper("Ana");
  await ana.context.setOffline(true);
  await ana.page.reload();
  await ana.seesStatus(/^Offline/);
  await signedInAs(ana).waitFor();
  await ana.goTo("Products"); // A part of the page that wasn't loaded before.
  const other = await ana.context.newPage();
  await assert.rejects(other.goto(`${server.url}/docs`), "only the page is kept");
  await other.close();

  await ana.context.setOffline(false);
  await ana.seesLive();
  await ana.createCart("Back again");
  await ana.signOut();
  await ana.heading("Sign in").waitFor();

  await ana.context.setOffline(true);
  await ana.page.reload();
  await ana.heading("Not connected").waitFor(); // Who signs out is not remembered.
  await ana.context.setOffline(false);
  await ana.heading("Sign in").waitFor();
  await leave(ana);
});

test("the service is away: the page opens; who is signed out meanwhile learns it", async () => {
  const ben = await keeper("Ben");
  await server.end();
  await ben.page.reload();
  await signedInAs(ben).waitFor();
  await server.start();
  await ben.seesLive();

  await server.end();
  await ben.page.reload();
  await signedInAs(ben).waitFor();
  await ben.context.clearCookies();
  await server.start();
  await ben.heading("Sign in").waitFor();
  assert.equal(await ben.page.evaluate(() => localStorage.getItem("cartroom.user")), null);
  await leave(ben);
});

test("a new version is there on the next load, and is kept from then on", async () => {
  const cleo = await keeper("Cleo");
  const change = async (number) => {
    const main = join(folder, "static", "js", "main.js");
    await appendFile(main, `\ndocument.documentElement.dataset.made = "${number}";\n`);
    // The server looks at its files a second at the soonest after it did so last.
    await eventually(async () => {
      const page = await (await fetch(`${server.url}/`)).text();
      const [, prefix] = /src="(\S+)js\/main\.js"/.exec(page);
      const script = await (await fetch(`${server.url}${prefix}js/main.js`)).text();
      assert.match(script, RegExp(`made = "${number}"`));
    });
  };
  const made = () => cleo.page.evaluate(() => document.documentElement.dataset.made);
  const [first] = await versions(cleo);

  await change(1);
  await cleo.page.reload();
  await cleo.seesLive();
  assert.equal(await made(), "1", "online nothing old is shown");
  await eventually(async () => {
    assert.equal((await versions(cleo)).length, 2);
    // One that is still being installed would take the place of the next one's.
    assert.ok(await settled(cleo));
  });
  await cleo.page.evaluate(() => {
    window.untouched = true;
  });

  await change(2);
  await cleo.page.evaluate(async () => (await navigator.serviceWorker.ready).update());
  await eventually(async () => {
    const kept = await versions(cleo);
    assert.equal(kept.length, 2);
    assert.ok(!kept.includes(first), "what is older than the last version is dropped");
  });
  assert.equal(await cleo.page.evaluate(() => window.untouched), true, "no page was reloaded");
  assert.equal(await made(), "1");
  await cleo.goTo("Products"); // The old page finds its own parts.

  await cleo.context.setOffline(true);
  await cleo.page.reload();
  await cleo.seesStatus(/^Offline/);
  assert.equal(await made(), "2");
  await leave(cleo);
});
