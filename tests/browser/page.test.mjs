/** People at the page, in a real browser, against a real server. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive, server } from "./shop.mjs";
import { CLAIM_WAIT_MS, eventually, meetInCart, PASSWORD } from "./support.mjs";

const MUG = "Stoneware mug";
const BUNTING = "Party bunting";
const LAST_ONES = "Hand-painted bowl";

/** Ana's cart, shared with Ben, open at both. */
async function together(cart, role = "editor", options = {}) {
  const people = await Promise.all([arrive("Ana", options), arrive("Ben")]);
  await meetInCart(cart, people, role);
  return people;
}

test("two people fill one cart, live", async () => {
  const [ana, ben] = await together("Summer party");
  await ben.add(MUG, 2);
  await ana.hears(`Ben added 2 × ${MUG}.`);
  await ana.seesQuantity(MUG, 2);
  await ana.page.getByRole("heading", { name: /For Ben/ }).waitFor();

  await ana.isTold("Ben added 2"); // For who can't see the message.

  await ana.quantity(MUG).fill("5");
  await ana.quantity(MUG).press("Enter");
  await ben.hears(`Ana set ${MUG} to 5.`);
  await ben.line(MUG).getByRole("button", { name: "more" }).click();
  await ana.seesQuantity(MUG, 6);
  await ben.seesQuantity(MUG, 6);

  for (const person of [ana, ben]) {
    const faces = person.page.getByRole("group", { name: "Here now" });
    await faces.getByRole("img", { name: /^Ana/ }).waitFor();
    await faces.getByRole("img", { name: /^Ben/ }).waitFor();
  }
  await ben.quantity(MUG).focus();
  await ana.line(MUG).getByRole("img", { name: "Ben is here" }).waitFor();

  await ana.line(MUG).getByRole("button", { name: "for later" }).click();
  await ben.page.locator(".saved .line", { hasText: MUG }).waitFor();
  await ben.page.getByText("This cart is empty.").waitFor();
  await ben.line(MUG).getByRole("button", { name: "back to the cart" }).click();
  await ana.seesQuantity(MUG, 6);
  await ana.line(MUG).getByRole("button", { name: "Remove" }).click();
  await ben.hears(`Ana removed ${MUG}.`);
  await ben.line(MUG).waitFor({ state: "detached" });

  await ana.tab("History");
  const deeds = ana.page.locator(".deed");
  await deeds.filter({ hasText: `Ben moved ${MUG} back to the cart` }).waitFor();
  await deeds.filter({ hasText: "Ana made the cart “Summer party”" }).waitFor();
  await ben.leave();
  await ana.page.getByRole("img", { name: "Ben" }).waitFor({ state: "detached" });
  await ana.leave();
});

test("the server is killed and comes back: what was done meanwhile arrives, once", async () => {
  const [ana, ben] = await together("Storm");
  await ana.add(MUG, 1);
  await ben.seesQuantity(MUG, 1);
  await server.end("SIGKILL");
  await ana.seesStatus("Reconnecting…");
  for (let click = 0; click < 3; click += 1) {
    await ana.line(MUG).getByRole("button", { name: "more" }).click();
  }
  await ana.seesStatus("3 changes waiting");
  await ana.page.getByText("changes are kept on this device").waitFor();
  await server.start();
  await ana.seesQuantity(MUG, 4);
  await ben.seesQuantity(MUG, 4);
  await ana.seesLive();

  // Refused connections are the browser's to report; nothing else went wrong.
  for (const person of [ana, ben]) {
    person.forgive(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET/);
    await person.leave();
  }
});

test("acknowledgements that get lost double nothing", async () => {
  const ana = await arrive("Ana");
  const opIds = [];
  let lost = 0;
  // Between page and server sits somebody who loses the answers to the first three ops, and each
  // time the connection: the op has been committed, and the page can't know.
  await ana.page.routeWebSocket(/\/ws$/, (socket) => {
    const upstream = socket.connectToServer();
    const ops = new Set();
    socket.onMessage((message) => {
      const frame = JSON.parse(message);
      if (frame.type === "cart.op") {
        opIds.push(frame.op_id);
        ops.add(frame.id);
      }
      upstream.send(message);
    });
    upstream.onMessage((message) => {
      const frame = JSON.parse(message);
      if (ops.has(frame.id) && frame.type === "ok" && lost < 3 && opIds.length % 2) {
        lost += 1;
        upstream.close();
        socket.close({ code: 4004 });
      } else {
        socket.send(message);
      }
    });
  });
  await ana.register();
  await ana.createCart("Bumpy road");
  await ana.add(MUG, 1);
  await ana.line(MUG).waitFor();
  for (let click = 0; click < 5; click += 1) {
    await ana.line(MUG).getByRole("button", { name: "more" }).click();
  }
  await ana.seesQuantity(MUG, 6);
  await ana.seesLive();
  assert.equal(lost, 3);
  assert.equal(new Set(opIds).size, 6);
  assert.equal(opIds.length, 6 + lost);
  await ana.page.reload();
  await ana.seesQuantity(MUG, 6);
  await ana.leave();
});

test("a push that gets lost is missed and fetched", async () => {
  const ana = await arrive("Ana");
  let lost = 0;
  await ana.page.routeWebSocket(/\/ws$/, (socket) => {
    const upstream = socket.connectToServer();
    upstream.onMessage((message) => {
      if (JSON.parse(message).type === "cart.ops" && !lost) lost += 1;
      else socket.send(message);
    });
  });
  await ana.register();
  const ben = await (await arrive("Ben")).register();
  await ana.createCart("Holes");
  await ana.share(ben, "editor");
  await ben.openCart("Holes");
  await ben.add(MUG, 1);
  await ben.add(BUNTING, 2);
  await ana.seesQuantity(BUNTING, 2);
  await ana.seesQuantity(MUG, 1);
  assert.equal(lost, 1);
  await ben.leave();
  await ana.leave();
});

test("who may look can't change, and sees at once when that changes", async () => {
  const [ana, ben] = await together("Library", "viewer");
  await ana.add(MUG, 1);
  await ben.line(MUG).waitFor();
  await ben.page.getByText("You may look at this cart").waitFor();
  assert.equal(await ben.line(MUG).getByRole("button").count(), 0);
  await ben.find(MUG);
  assert.ok(await ben.page.getByRole("button", { name: `Add ${MUG}` }).isDisabled());

  await ana.tab("People");
  await ana.page.getByLabel("Role of Ben").selectOption("editor");
  await ben.line(MUG).getByRole("button", { name: "more" }).click();
  await ana.seesQuantity(MUG, 2);

  await ana.page.getByRole("button", { name: "Remove Ben from the cart" }).click();
  await ana.page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await ben.page.getByRole("heading", { name: "You are no longer in this cart" }).waitFor();
  await ben.leave();
  await ana.leave();
});

test("the cart is renamed, noted, left and deleted", async () => {
  const [ana, ben] = await together("Plans");
  await ben.page.getByRole("button", { name: "Rename the cart" }).click();
  await ben.page.getByLabel("Name of the cart").fill("Better plans");
  await ben.page.getByLabel("Name of the cart").press("Enter");
  await ana.page.getByRole("heading", { name: "Better plans" }).waitFor();
  await ana.add(BUNTING);
  await ana.line(BUNTING).getByRole("button", { name: "Note on" }).click();
  await ana
    .line(BUNTING)
    .getByRole("textbox", { name: "Note on" })
    .fill("<b>blue</b> if they have it");
  await ana.line(BUNTING).getByRole("button", { name: "Save", exact: true }).click();
  await ben.line(BUNTING).getByText("<b>blue</b> if they have it").waitFor();

  await ben.page.getByRole("button", { name: "Leave cart" }).click();
  await ben.page.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  await ben.page.getByRole("heading", { name: "You left this cart" }).waitFor();
  await ana.hears("Ben left the cart.");
  await ana.page.getByRole("button", { name: "Delete cart" }).click();
  await ana.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await ana.page.getByRole("heading", { name: "This cart was deleted" }).waitFor();
  await ben.leave();
  await ana.leave();
});

test("what the service refuses is said in its words", async () => {
  const [ana, ben] = await together("Scarce");
  await ana.add(LAST_ONES, 4);
  await ana.hears(`Only 3 of ${LAST_ONES}`, "error");
  await ana.page.getByRole("button", { name: "Share", exact: true }).click();
  const dialog = ana.page.getByRole("dialog");
  await dialog.getByLabel("User id").fill("usr_nobody");
  await dialog.getByRole("button", { name: "Share", exact: true }).click();
  const field = dialog.getByLabel("User id");
  await dialog.getByText("There is no user usr_nobody").waitFor();
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  assert.match(await field.getAttribute("aria-describedby"), /error/);
  await ana.page.keyboard.press("Escape");
  await ana.open("/#/cart/crt_000000000000000000000000");
  await ana.page.getByRole("heading", { name: "There is no such cart for you" }).waitFor();
  await ben.leave();
  await ana.leave();
});

test("signing in, badly and well", async () => {
  const ana = await (await arrive("Ana")).register();
  await ana.signOut();
  const { page } = ana;
  await page.getByRole("button", { name: "Sign in" }).click();
  assert.equal(await page.getByLabel("E-mail").getAttribute("aria-invalid"), "true");
  await page.getByLabel("E-mail").fill(ana.email);
  await page.getByLabel("Password").fill("something else");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".form-error", { hasText: /\w+/ }).waitFor();
  await page.getByRole("link", { name: "Create an account" }).click();
  await page.getByLabel("Name").fill("Ana");
  await page.getByLabel("E-mail").fill(ana.email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.locator(".field-error", { hasText: /\w+/ }).waitFor();
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByLabel("E-mail").fill(ana.email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByLabel("Password").press("Enter");
  await ana.seesStatus("Live");

  assert.equal(ana.forgive(/status of 40[19]/), 2); // the browser reports them
  await ana.leave();
});

test("a tab that was duplicated is a client of its own", async () => {
  const ana = await (await arrive("Ana", { stretched: [[CLAIM_WAIT_MS, 10 * CLAIM_WAIT_MS]] })).register();
  const opened = ana.context.waitForEvent("page");
  // Like duplicating a tab, this copies sessionStorage.
  await ana.page.evaluate(() => void window.open("/"));
  const twin = await opened;
  await twin.getByRole("heading", { name: "Hello, Ana" }).waitFor();
  const clientOf = (page) => page.evaluate(() => sessionStorage.getItem("cartroom.client"));
  const first = await clientOf(ana.page);
  await eventually(async () => assert.notEqual(await clientOf(twin), first));
  await ana.page.reload();
  await ana.seesStatus("Live");
  assert.equal(await clientOf(ana.page), first);
  await ana.leave();
});

test("a phone's width holds every view, and the keyboard reaches every control", async () => {
  const [ana, ben] = await together("Pocket", "editor", { width: 360, height: 740 });
  await ana.tab("Add");
  await ana.add(BUNTING, 12);
  await ana.fits("add");
  for (const tab of ["People", "History", "Cart"]) {
    await ana.tab(tab);
    await ana.fits(tab);
  }
  await ana.line(BUNTING).waitFor();
  await ana.page.getByRole("button", { name: "Share", exact: true }).click();
  await ana.fits("share");
  await ana.page.keyboard.press("Escape");

  await ana.page.getByRole("tab", { name: /^Cart/ }).focus();
  await ana.page.keyboard.press("ArrowRight");
  await ana.page.getByRole("searchbox", { name: "Find products" }).waitFor();
  await ana.page.keyboard.press("Tab");
  await ana.page.keyboard.type("mug");
  await ana.page.getByRole("button", { name: `Add ${MUG}` }).waitFor();
  for (const link of ["Products", "My carts"]) {
    await ana.goTo(link);
    await ana.page.getByRole("heading", { name: link, level: 1 }).waitFor();
    await ana.fits(link);
  }
  await ana.signOut();
  await ana.page.getByRole("heading", { name: "Sign in" }).waitFor();
  await ana.fits("sign in");
  await ben.leave();
  await ana.leave();
});

/** What of the focused control another one hides: its name, or nothing. */
function hiddenFocus(page) {
  return page.evaluate(() => {
    const focused = document.activeElement;
    const { left, top, width, height } = focused.getBoundingClientRect();
    const there = document.elementFromPoint(left + width / 2, top + height / 2);
    return focused.contains(there) ? "" : (focused.ariaLabel ?? focused.textContent);
  });
}

test("what has the focus is never behind what sticks to the window's edge", async () => {
  const [ana, ben] = await together("Long", "editor", { width: 360, height: 500 });
  await ana.tab("Add");
  for (const product of [MUG, BUNTING, LAST_ONES, "Wool socks"]) await ana.add(product);
  await ana.tab("Cart");
  await ana.line("Wool socks").waitFor();
  await ana.page.getByRole("button", { name: "Share", exact: true }).focus();
  const last = ana.page.getByRole("button", { name: "Delete cart" });
  const isLast = () => last.evaluate((button) => button === document.activeElement);
  for (let tabs = 0; !(await isLast()); tabs += 1) {
    assert.ok(tabs < 60, "Tab doesn't lead to the cart's end");
    await ana.page.keyboard.press("Tab");
    await eventually(async () => assert.equal(await hiddenFocus(ana.page), ""));
  }
  await Promise.all([ana.leave(), ben.leave()]);
});
