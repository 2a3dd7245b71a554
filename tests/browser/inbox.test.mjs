/** The inbox: what somebody missed is told on every tab, once, until they have seen it. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { eventually, mailedLink, openBrowser, PASSWORD, Person, Server, stored } from "./support.mjs";

const MUG = "Stoneware mug";
const BUNTING = "Party bunting";
const SOCKS = "Wool socks";

/** What was missed is told soon, and all of it that somebody does within the test as one. */
const server = new Server({
  CARTROOM_SEEN_EVERY_S: "0.2",
  CARTROOM_NOTIFY_AFTER_S: "0.5",
  CARTROOM_NOTIFY_WINDOW_S: "3600",
});
let browser;

before(async () => {
  [browser] = await Promise.all([openBrowser(), server.start()]);
});

after(async () => {
  await browser?.close();
  await server.end();
});

function arrive(name, options) {
  return Person.arrive(browser, server, name, options);
}

async function arriveBoth() {
  const people = await Promise.all([arrive("Ana"), arrive("Ben")]);
  for (const one of people) await one.register();
  return people;
}

/** Open a view in a page of its own, in which no cart is open. */
async function openAnew(page, path) {
  await page.goto("about:blank");
  await page.goto(`${server.url}/${path}`);
  await page.locator(".status", { hasText: /^Live$/ }).waitFor();
}

async function bellShows(page, count) {
  const name = count ? `Inbox, ${count} unread` : "Inbox";
  await page.locator("#header").getByRole("link", { name, exact: true }).waitFor();
}

function entry(page, text) {
  return page.locator("inbox-entry", { hasText: text });
}

test("what others do is told on every tab, and read on one it is read on all", async () => {
  const [ana, ben] = await arriveBoth();
  const { page } = ben;
  await openAnew(page, "#/inbox");
  await page.getByRole("heading", { name: "Nothing here yet" }).waitFor();
  const other = await ben.context.newPage();
  ben.watch(other);
  await openAnew(other, "#/carts");
  await ana.createCart("Picnic");
  await ana.share(ben, "editor");
  await ben.hears("Ana let you into “Picnic”."); // At once; the inbox has it for later.
  await entry(page, "Ana let you into the cart").getByText("Picnic").waitFor();
  await Promise.all([bellShows(page, 1), bellShows(other, 1)]);

  // What somebody does one after the other is one notification, which grows.
  await ana.add(MUG, 2);
  await ana.add(BUNTING);
  await ana.seesQuantity(BUNTING, 1);
  await ana.line(BUNTING).getByRole("button", { name: /^Remove/ }).click();
  const changes = entry(page, "Ana changed 3 things: added 2, removed 1");
  await changes.getByText(`2 × ${MUG}`).waitFor();
  await Promise.all([bellShows(page, 2), bellShows(other, 2)]);

  await changes.getByRole("button", { name: /^Mark as read/ }).click();
  await Promise.all([bellShows(page, 1), bellShows(other, 1)]);
  await ana.add(SOCKS);
  await entry(page, "Ana changed 4 things: added 3, removed 1").waitFor();
  await Promise.all([bellShows(page, 2), bellShows(other, 2)]);
  assert.equal(await page.locator("inbox-entry").count(), 2);

  // Who looks at the cart has seen what was told of it.
  await entry(page, "Ana changed 4 things").getByRole("link").press("Enter");
  await ben.heading("Picnic").waitFor();
  await Promise.all([bellShows(page, 0), bellShows(other, 0)]);
  // And of what they see live there is nothing to tell.
  await ana.find(MUG);
  await ana.add(MUG, 3);
  await ben.seesQuantity(MUG, 5);
  await Promise.all([ana.leave(), ben.leave()]);
});

test("all of it is read at once, by keyboard, and stays so", async () => {
  const [ana, ben] = await arriveBoth();
  const { page } = ben;
  for (const name of ["Brunch", "Potluck"]) {
    await ana.createCart(name);
    await ana.share(ben, "viewer");
  }
  await openAnew(page, "#/");
  await bellShows(page, 2);
  await page.locator("#header .bell").press("Enter");
  await ben.heading("Inbox").waitFor();
  await page.getByText("2 unread", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Mark all as read" }).press("Enter");
  await bellShows(page, 0);
  const title = ben.heading("Inbox");
  await eventually(async () => assert.ok(await title.evaluate((one) => one.matches(":focus"))));
  await page.reload();
  await eventually(async () => assert.equal(await page.locator("inbox-entry").count(), 2));
  await bellShows(page, 0);
  assert.equal(await page.getByRole("button", { name: /Mark/ }).count(), 0);
  await Promise.all([ana.leave(), ben.leave()]);
});

/** What the browser keeps of inboxes. */
async function keptInboxes(page) {
  return (await stored(page, "meta")).filter((one) => one.notifications);
}

test("without a network the inbox is as it was, and can't be marked as read", async () => {
  const ana = await (await arrive("Ana")).register();
  const ben = await (await arrive("Ben", { keeps: true })).register();
  const { page } = ben;
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
  for (const name of ["Brunch", "Potluck"]) {
    await ana.createCart(name);
    await ana.share(ben, "viewer");
  }
  await openAnew(page, "#/inbox");
  const mark = (name) => page.getByRole("button", { name: RegExp(`^Mark as read: .*${name}`) });
  await entry(page, "Potluck").waitFor();
  await mark("Brunch").click();
  await bellShows(page, 1);
  // The browser has it by now, with what was read.
  await eventually(async () => {
    const [{ notifications, unread, user }] = await keptInboxes(page);
    assert.deepEqual([user, unread, notifications.length], [ben.id, 1, 2]);
  });

  await ben.context.setOffline(true);
  await page.reload();
  await ben.seesStatus(/^Offline/);
  await page.getByText(/^You are offline\. This is what was here (at|on) /).waitFor();
  await eventually(async () => assert.equal(await page.locator("inbox-entry").count(), 2));
  await mark("Potluck").click();
  await ben.hears("You are offline. Mark it as read once you are connected again.");
  await mark("Potluck").waitFor();
  assert.equal(await mark("Brunch").count(), 0);

  await ben.context.setOffline(false);
  await ben.seesLive();
  await page.getByText("This is what was here").waitFor({ state: "hidden" });
  await bellShows(page, 1);
  await mark("Potluck").click();
  await bellShows(page, 0);
  await ben.signOut();
  await ben.heading("Sign in").waitFor();
  assert.deepEqual(await keptInboxes(page), []);
  await page.goto("about:blank"); // Nothing more is said after that.
  ben.forgive(/ERR_INTERNET_DISCONNECTED|ERR_FAILED/);
  await Promise.all([ana.leave(), ben.leave()]);
});

test("of a muted cart nothing is told", async () => {
  const [ana, ben] = await arriveBoth();
  const { page } = ben;
  const cart = await ana.createCart("Loud");
  await ana.share(ben, "editor");
  await ben.open(`/#/cart/${cart}`);
  await ben.heading("Loud").waitFor();
  await page.getByRole("button", { name: "Mute cart" }).click();
  await ben.hears("You are no longer told what others do in “Loud”");
  await page.getByRole("button", { name: "Unmute cart" }).waitFor();
  await openAnew(page, "#/inbox");
  await ana.add(MUG);
  await ana.seesQuantity(MUG, 1);
  await ana.createCart("Quiet");
  await ana.share(ben, "editor");
  await ana.add(SOCKS);
  await entry(page, "Ana added 1 × Wool socks").getByText("Quiet").waitFor();
  assert.equal(await entry(page, "Loud").getByText(/added|changed/).count(), 0);

  await openAnew(page, "#/carts");
  const row = page.locator("cart-row", { hasText: "Loud" });
  await row.locator(".muted-mark").waitFor();
  await row.getByRole("button", { name: "Unmute Loud" }).click();
  await ben.hears("You are told again what others do in “Loud”");
  await row.locator(".muted-mark").waitFor({ state: "detached" });
  await openAnew(page, "#/carts");
  await row.getByRole("button", { name: "Mute Loud" }).waitFor();
  await openAnew(page, "#/inbox");
  await ana.openCart("Loud");
  await ana.add(BUNTING);
  await entry(page, "Loud").getByText(/added/).waitFor();
  await Promise.all([ana.leave(), ben.leave()]);
});

test("which mails somebody wants is kept", async () => {
  const ben = await (await arrive("Ben")).register();
  const { page } = ben;
  await ben.confirm();
  await openAnew(page, "#/account/mails");
  const mails = page.locator("#mails");
  await page.getByLabel("Soon after they happen").check();
  await page.getByLabel("Keep quiet at night").check();
  await page.getByLabel("Quiet from").fill("21:30");
  await page.getByLabel("Quiet until").fill("21:30");
  await page.getByLabel("Time zone").selectOption("America/New_York");
  await page.getByRole("button", { name: /^Use .*, as on this device$/ }).waitFor();
  await mails.getByRole("button", { name: "Save" }).click();
  await page.locator("#to-error", { hasText: "They end when they begin." }).waitFor();
  await page.getByLabel("Quiet until").fill("06:15");
  await mails.getByRole("button", { name: "Save" }).click();
  await ben.hears("Your choices are saved.");
  await page.reload();
  await page.getByLabel("Soon after they happen").waitFor();
  assert.ok(await page.getByLabel("Soon after they happen").isChecked());
  assert.equal(await page.getByLabel("Quiet from").inputValue(), "21:30");
  assert.equal(await page.getByLabel("Quiet until").inputValue(), "06:15");
  assert.equal(await page.getByLabel("Time zone").inputValue(), "America/New_York");
  assert.ok(await page.getByLabel("Mail me when somebody lets me into a cart").isChecked());
  assert.equal(ben.forgive(/status of 400/), 1);
  await ben.leave();
});

test("mails are ended by a link in one of them, without signing in", async () => {
  const [ana, ben] = await arriveBoth();
  await ben.confirm();
  await ana.createCart("Picnic");
  await ana.share(ben, "editor");
  const link = await mailedLink("added_to_cart", ben.email, /http\S+#\/unsubscribe\/\S+/);
  const reader = await arrive("Reader"); // On another device, not signed in.
  await reader.follow(link);
  await reader.heading("No more mails about new carts?").waitFor();
  await reader.page.getByRole("button", { name: "Stop these mails" }).click();
  await reader.heading("You will get no more mails about new carts").waitFor();
  await reader.page.getByRole("link", { name: "Sign in and choose" }).click();
  await reader.signIn(ben.email, PASSWORD);
  await reader.heading("Mails").waitFor();
  const shared = reader.page.getByLabel("Mail me when somebody lets me into a cart");
  await eventually(async () => assert.ok(!(await shared.isChecked())));
  assert.ok(await reader.page.getByLabel("Once a day").isChecked());
  await Promise.all([ana.leave(), ben.leave(), reader.leave()]);
});
