/** Whole journeys: by the keyboard alone, over a lost network, a killed server, and a way back. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive, server } from "./shop.mjs";
import { CLAIM_WAIT_MS, DEADLINE_MS, eventually, mailedLink, meetInCart } from "./support.mjs";
import { PASSWORD, SECONDS_MS, stored } from "./support.mjs";

const MUG = "Stoneware mug";
const BUNTING = "Party bunting";
const CUT_OFF = /ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_FAILED/;
const TABS_MAX = 80;

/** Ana's cart, shared with Ben, open at both. */
async function together(cart, options = {}) {
  const [ana, ben] = await Promise.all(["Ana", "Ben"].map((name) => arrive(name, options[name])));
  const id = await meetInCart(cart, [ana, ben]);
  return { ana, ben, id };
}

/** What the browser says of a network that isn't there is no fault of the page. */
async function leave(person) {
  await person.context.close();
  person.forgive(CUT_OFF);
  await person.leave();
}

/** Somebody who has a keyboard and nothing else. */
class Typist {
  constructor(person) {
    this.person = person;
    this.page = person.page;
  }

  /** Press keys, one after the other; the focus has to be somewhere after each. */
  async press(...keys) {
    for (const key of keys) {
      await this.page.keyboard.press(key);
      await this.holdsFocus(key);
    }
  }

  async type(text) {
    await this.page.keyboard.type(text);
    await this.holdsFocus(text);
  }

  /** Press Tab until `wanted` has the focus, which has to be seen wherever it comes by. */
  async tabTo(wanted, { back = false } = {}) {
    await wanted.waitFor();
    const passed = [];
    for (let tabs = 0; tabs < TABS_MAX; tabs += 1) {
      await this.page.keyboard.press(back ? "Shift+Tab" : "Tab");
      await this.seesFocus();
      if (await wanted.evaluate(isFocused)) return;
      passed.push(await this.page.evaluate(focusedName));
    }
    throw new Error(`Tab never leads to ${wanted}, but to ${passed.join(", ")}`);
  }

  /** Wait until `wanted` has been given the focus. */
  async isAt(wanted) {
    await wanted.waitFor();
    await eventually(async () => {
      const at = await this.page.evaluate(focusedName);
      assert.ok(await wanted.evaluate(isFocused), `the focus is at ${at}, not at ${wanted}`);
    });
  }

  async holdsFocus(after) {
    await eventually(async () => {
      const at = await this.page.evaluate(focusedName);
      assert.notEqual(at, "body", `the focus is lost after ${after}`);
    });
  }

  async seesFocus() {
    await eventually(async () => assert.equal(await this.page.evaluate(unseenFocus), ""));
  }
}

/** Runs in the page. */
function isFocused(element) {
  return element === document.activeElement;
}

/** Runs in the page: what has the focus, in words. */
function focusedName() {
  const { activeElement: active } = document;
  const name = active?.ariaLabel || active?.textContent.trim().slice(0, 40);
  return !active || active === document.body ? "body" : `${active.localName} “${name}”`;
}

/** Runs in the page: why it can't be seen what has the focus, or "". */
function unseenFocus() {
  const { activeElement: active } = document;
  if (active === document.body) return ""; // Between the page's last control and its first.
  if (!active.matches(":focus-visible")) return "no ring is wanted";
  const styles = [getComputedStyle(active), getComputedStyle(active, "::after")];
  if (styles.every(({ outlineStyle }) => outlineStyle === "none")) {
    return `no ring around ${active.outerHTML}`;
  }
  const { left, top, width, height } = active.getBoundingClientRect();
  const [x, y] = [left + width / 2, top + height / 2];
  const upon = document.elementFromPoint(x, y);
  if (!upon) return `out of sight at ${x}, ${y}: ${active.outerHTML}`;
  return active.contains(upon) || upon.contains(active) ? "" : `${upon.outerHTML} covers it`;
}

test("the keyboard alone does it all: account, cart, product, note, share, history, undo", async () => {
  const ana = await arrive("Ana", { held: SECONDS_MS });
  const { page } = ana;
  const typist = new Typist(ana);
  const named = (role, name) => page.getByRole(role, { name, exact: true });
  await ana.open();
  await typist.tabTo(named("link", "Create an account"));
  await typist.press("Enter");
  await typist.isAt(ana.heading("Create an account"));
  const fields = { Name: ana.name, "E-mail": ana.email, Password: PASSWORD };
  for (const [label, text] of Object.entries(fields)) {
    await typist.tabTo(named("textbox", label));
    await typist.type(text);
  }
  await page.keyboard.press("Enter");
  await typist.isAt(ana.heading("Hello, Ana"));
  await typist.tabTo(named("link", "Make a cart"));
  await typist.press("Enter");
  await typist.isAt(ana.heading("My carts"));
  await typist.tabTo(named("textbox", "Name"));
  await typist.type("By hand");
  await page.keyboard.press("Enter");
  await typist.isAt(ana.heading("By hand"));

  // A product is found while it is typed; arrows lead to it, Enter adds it.
  await typist.tabTo(named("searchbox", "Find products"));
  await typist.type("stonew");
  const add = named("button", `Add ${MUG}`);
  await page.getByText("1 product for “stonew”").waitFor();
  await typist.press("ArrowDown");
  await typist.isAt(add);
  await typist.seesFocus();
  await typist.press("Enter");
  await ana.seesQuantity(MUG, 1);
  await typist.isAt(add);

  const line = ana.line(MUG);
  await typist.tabTo(line.getByRole("button", { name: `One ${MUG} more` }), { back: true });
  await typist.press("Enter", "Enter");
  await ana.seesQuantity(MUG, 3);
  await typist.tabTo(ana.quantity(MUG), { back: true });
  await typist.press("ArrowUp");
  await ana.seesQuantity(MUG, 4);
  const note = line.getByRole("button", { name: "Note on" });
  await typist.tabTo(note);
  await typist.press("Enter");
  await typist.isAt(line.getByRole("textbox", { name: "Note on" }));
  await typist.type("the blue ones");
  await typist.tabTo(line.getByRole("button", { name: "Save", exact: true }));
  await typist.press("Enter");
  await line.locator(".note", { hasText: "the blue ones" }).waitFor();
  await typist.isAt(note);

  const share = named("button", "Share");
  await typist.tabTo(share, { back: true });
  await typist.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  await eventually(async () => assert.ok(await dialog.evaluate((one) => one.matches(":focus-within"))));
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await typist.isAt(share);

  await typist.tabTo(page.getByRole("tab", { name: /^Add/ }));
  await typist.press("ArrowRight", "ArrowRight");
  await typist.isAt(page.getByRole("tab", { name: /^History/ }));
  await typist.seesFocus();
  await page.locator(".deed", { hasText: `Ana added 1 × ${MUG}` }).first().waitFor();

  await typist.tabTo(page.locator("#header").getByRole("link", { name: "My carts" }), { back: true });
  await typist.press("Enter");
  await typist.isAt(ana.heading("My carts"));
  const remove = named("button", "Delete By hand");
  await typist.tabTo(remove);
  await typist.press("Enter");
  await typist.isAt(named("button", "Undo"));
  await typist.seesFocus();
  await typist.press("Enter");
  await typist.isAt(remove);

  // What is removed is brought back from wherever one is.
  await typist.tabTo(page.locator("cart-row").getByRole("link"), { back: true });
  await typist.press("Enter");
  await typist.isAt(ana.heading("By hand"));
  await typist.tabTo(line.getByRole("button", { name: `Remove ${MUG}` }));
  await typist.press("Enter");
  await line.waitFor({ state: "detached" });
  await typist.press("Control+z");
  await ana.seesQuantity(MUG, 4);
  await typist.tabTo(named("button", "Empty cart"));
  await typist.press("Enter");
  await typist.tabTo(dialog.getByRole("button", { name: "Empty it" }));
  await page.keyboard.press("Enter");
  await line.waitFor({ state: "detached" });

  // To delete the cart from within is asked about, as it can't be undone.
  await typist.isAt(named("button", "Delete cart"));
  await typist.press("Enter");
  await typist.isAt(dialog.getByRole("button", { name: "Cancel" }));
  await typist.press("Escape");
  await typist.isAt(named("button", "Delete cart"));
  await typist.press("Enter");
  await typist.tabTo(dialog.getByRole("button", { name: "Delete" }));
  await page.keyboard.press("Enter");
  await typist.isAt(ana.heading("This cart was deleted"));
  await ana.leave();
});

/** The cart's rev, asked over another connection. */
function revOf(person, cart) {
  return person.page.evaluate(askRev, cart);
}

/** Runs in the page. */
async function askRev(cart) {
  const { Cartroom, MemoryStore } = await import("/static/sdk/cartroom.js");
  const client = new Cartroom({ url: `ws://${location.host}/ws`, store: new MemoryStore() });
  client.start();
  const room = client.room(cart);
  while (room.status !== "live") await new Promise((resolve) => setTimeout(resolve, 20));
  client.stop();
  return room.rev;
}

test("changes made offline outlive a reload, and come once when the network is back", async () => {
  const { ana, ben, id } = await together("Tunnel", {
    Ana: { keeps: true, stretched: [[CLAIM_WAIT_MS, DEADLINE_MS]] },
  });
  await ana.page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
  await ana.add(MUG, 2);
  await ben.seesQuantity(MUG, 2);
  await ana.find(BUNTING);
  await ana.seesLive();
  const before = await revOf(ben, id);

  await ana.context.setOffline(true);
  await ana.page.getByRole("button", { name: `Add ${BUNTING}` }).click();
  await ana.line(MUG).getByRole("button", { name: "more" }).click();
  await ana.line(MUG).getByRole("button", { name: "Note on" }).click();
  await ana.line(MUG).getByRole("textbox", { name: "Note on" }).fill("from the tunnel");
  await ana.line(MUG).getByRole("button", { name: "Save", exact: true }).click();
  const seesAll = async (person) => {
    await person.seesQuantity(MUG, 3);
    await person.seesQuantity(BUNTING, 1);
    await person.line(MUG).locator(".note", { hasText: "from the tunnel" }).waitFor();
    assert.equal(await person.page.locator(".line").count(), 2);
  };
  await ana.seesStatus(/^Offline: 3 changes waiting$/);
  await seesAll(ana);
  // The browser has them by now, too.
  await eventually(async () => {
    const records = await stored(ana.page, "clients");
    assert.equal(records.flatMap(({ ops }) => ops).length, 3);
  });

  await ana.page.reload();
  await ana.heading("Tunnel").waitFor();
  await ana.seesStatus(/^Offline: 3 changes waiting$/);
  await seesAll(ana);
  assert.equal(await revOf(ben, id), before);

  await ana.context.setOffline(false);
  await seesAll(ben);
  await ana.seesLive();
  await seesAll(ana);
  assert.equal(await revOf(ben, id), before + 3);
  await ben.tab("History");
  for (const deed of [`Ana added 1 × ${BUNTING}`, `Ana added 1 × ${MUG}`, "from the tunnel"]) {
    const told = ben.page.locator(".deed", { hasText: deed });
    await told.first().waitFor();
    assert.equal(await told.count(), 1, deed);
  }
  await Promise.all([leave(ana), leave(ben)]);
});

test("the server is killed while two people edit: nothing is lost, nothing is done twice", async () => {
  const { ana, ben, id } = await together("Thunder");
  await ana.add(MUG, 1);
  await ben.seesQuantity(MUG, 1);
  await ben.find(BUNTING);
  await Promise.all([ana.seesLive(), ben.seesLive()]);
  const before = await revOf(ben, id);
  const more = (person) => person.line(MUG).getByRole("button", { name: "more" });
  const steps = async (person, count) => {
    for (let step = 0; step < count; step += 1) await more(person).click();
  };

  // Some are confirmed, some are on their way, some are made while it is away.
  await Promise.all([steps(ana, 2), steps(ben, 2)]);
  await Promise.all([steps(ana, 2), steps(ben, 2), server.end("SIGKILL")]);
  await Promise.all([ana.seesStatus("Reconnecting"), ben.seesStatus("Reconnecting")]);
  await steps(ana, 2);
  await ben.page.getByRole("button", { name: `Add ${BUNTING}` }).click();
  await ben.line(BUNTING).getByRole("button", { name: "more" }).click();
  await steps(ben, 1);
  await ana.seesStatus(/[2-9] changes waiting/);
  await server.start();

  for (const person of [ana, ben]) {
    await person.seesLive();
    await person.seesQuantity(MUG, 1 + 4 + 4 + 2 + 1);
    await person.seesQuantity(BUNTING, 2);
  }
  assert.equal(await revOf(ben, id), before + 4 + 4 + 2 + 3);
  await Promise.all([leave(ana), leave(ben)]);
});

test("who is removed while looking, and invited by mail, is back in the cart", async () => {
  const { ana, ben, id } = await together("Boomerang", { Ben: { width: 390, height: 844 } });
  await ben.confirm();
  await ben.openCart("Boomerang");
  await ana.confirm();
  await ana.openCart("Boomerang");
  await ana.add(MUG, 1);
  await ben.line(MUG).waitFor();
  await ana.tab("People");
  await ana.page.getByRole("button", { name: "Remove Ben from the cart" }).click();
  await ana.page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await ben.heading("You are no longer in this cart").waitFor();
  await ben.fits("gone");

  await ana.page.getByRole("button", { name: "Share", exact: true }).click();
  const form = ana.page.getByRole("form", { name: "Invite by e-mail" });
  await form.getByLabel("E-mail").fill(ben.email);
  await form.getByLabel("Role").selectOption("editor");
  await form.getByRole("button", { name: "Invite" }).click();
  await ana.page.getByText(`An invitation is on its way to ${ben.email}.`).waitFor();
  await ana.page.keyboard.press("Escape");

  // The link opens a tab of its own; the one that said that they are out has the cart again too.
  const tab = await ben.context.newPage();
  ben.watch(tab);
  await tab.goto(await mailedLink("invitation", ben.email));
  await tab.getByRole("heading", { name: "Boomerang", level: 1 }).waitFor();
  await tab.close();
  await ben.heading("Boomerang").waitFor();
  assert.equal(new URL(await ben.address()).hash, `#/cart/${id}`);
  await ben.fits("cart");
  await ben.line(MUG).getByRole("button", { name: `One ${MUG} more` }).click();
  await ana.seesQuantity(MUG, 2);
  await ana.page.getByLabel("Role of Ben").waitFor();
  await Promise.all([ana.leave(), ben.leave()]);
});
