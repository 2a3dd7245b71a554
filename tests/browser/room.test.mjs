/** The cart room: several people in one cart, what they see of each other, and what is kept. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive } from "./shop.mjs";
import { eventually, meetInCart, SECONDS_MS, TOUCHED_MS } from "./support.mjs";

const MUG = "Stoneware mug";
const BUNTING = "Party bunting";
const BOWL = "Hand-painted bowl";
const CARD = "Greeting card 7";

/** Ana's cart, shared with others by name, open at all of them. */
async function together(cart, others, role = "editor", options = {}) {
  const people = [arrive("Ana", options), ...others.map((name) => arrive(name))];
  const all = await Promise.all(people);
  await meetInCart(cart, all, role);
  return all;
}

const leaveAll = (people) => Promise.all(people.map((person) => person.leave()));

/** What has the focus: the line that it is in, or its own name or text. */
function focused(person) {
  return person.page.evaluate(() => {
    const active = document.activeElement;
    const line = active.closest("cart-line");
    return line?.querySelector(".line-title").textContent ?? active.className;
  });
}

test("three people see whose lines are whose, who is here, and who did what", async () => {
  const [ana, ben, cem] = await together("Trio", ["Ben", "Cem"], "editor", { held: [TOUCHED_MS] });
  await Promise.all([ana.add(MUG, 2), ben.add(MUG, 1), cem.add(BUNTING, 4)]);
  const heads = ana.page.locator(".groups .group-head");
  await eventually(async () => {
    const texts = await heads.allInnerTexts();
    assert.deepEqual(
      texts.map((text) => text.replaceAll(/\s+/g, " ").trim()),
      ["A For you 2 pieces · €25.80", "B For Ben 1 piece · €12.90", "C For Cem 4 pieces · €31.96"],
    );
    assert.equal(await ana.page.locator(".total").innerText(), "€70.66");
    assert.match(await ana.page.locator(".totals").innerText(), /Total of 7 pieces/);
  });
  const faces = ana.page.getByRole("group", { name: "Here now" });
  await cem.line(BUNTING).getByRole("spinbutton").focus();
  await faces.getByRole("img", { name: `Cem, on ${BUNTING}` }).waitFor();
  await eventually(async () => assert.equal(await faces.getByRole("img").count(), 3));

  await cem.line(BUNTING).getByRole("button", { name: "more" }).click();
  const touched = ana.line(BUNTING).locator(".touched-by");
  await touched.getByText("Cem").waitFor();
  await ana.hears(`Cem added 1 × ${BUNTING}.`);
  await ana.isTold(`Cem added 1 × ${BUNTING}.`);
  await ana.passTime();
  await touched.waitFor({ state: "detached" });
  await leaveAll([ana, ben, cem]);
});

test("the focus stays: beside a line that another removes, on one that moves", async () => {
  const [ana, ben] = await together("Focus", ["Ben"]);
  for (const product of [MUG, BUNTING, BOWL]) {
    await ana.add(product);
    await ana.line(product).waitFor();
  }
  await ben.line(BOWL).waitFor();
  await ana.quantity(BUNTING).focus();
  await ben.line(BUNTING).getByRole("button", { name: "Remove" }).click();
  await ana.line(BUNTING).waitFor({ state: "detached" });
  assert.equal(await focused(ana), BOWL);

  const note = ana.line(MUG).getByRole("textbox", { name: "Note on" });
  await ana.line(MUG).getByRole("button", { name: "Note on" }).click();
  await note.fill("half a thou");
  await ben.line(MUG).getByRole("button", { name: "for later" }).click();
  await ana.page.locator(".saved .line", { hasText: MUG }).waitFor();
  await ana.page.keyboard.type("ght");
  assert.equal(await note.inputValue(), "half a thought");
  await ana.page.keyboard.press("Escape");

  await ana.line(BOWL).getByRole("button", { name: "Remove" }).press("Enter");
  await ana.line(BOWL).waitFor({ state: "detached" });
  assert.equal(await focused(ana), MUG);
  await ben.line(MUG).getByRole("button", { name: "Remove" }).click();
  await ana.line(MUG).waitFor({ state: "detached" });
  assert.equal(await focused(ana), "empty");
  await ben.add(CARD); // The last one that another removes, as well.
  await ana.quantity(CARD).focus();
  await ben.line(CARD).getByRole("button", { name: "Remove" }).click();
  await ana.line(CARD).waitFor({ state: "detached" });
  assert.equal(await focused(ana), "empty");
  await leaveAll([ana, ben]);
});

test("what is removed is brought back by Undo, with its note", async () => {
  const [ana, ben] = await together("Second thoughts", ["Ben"], "editor", { held: SECONDS_MS });
  await ana.add(MUG, 3);
  await ana.line(MUG).getByRole("button", { name: "Note on" }).click();
  await ana.line(MUG).getByRole("textbox", { name: "Note on" }).fill("blue");
  await ana.page.keyboard.press("Control+Enter");
  await ben.line(MUG).getByText("blue").waitFor();
  await ana.line(MUG).getByRole("button", { name: "Remove" }).click();
  await ben.line(MUG).waitFor({ state: "detached" });
  const place = await focused(ana);
  await ana.page.getByRole("button", { name: "Undo" }).press("Enter");
  assert.equal(await focused(ana), place);
  await ben.seesQuantity(MUG, 3);
  await ben.line(MUG).getByText("blue").waitFor();
  await leaveAll([ana, ben]);
});

test("a change that is refused goes back, and says why", async () => {
  const [ana] = await together("Scarce", []);
  await ana.add(BOWL, 3);
  await ana.seesQuantity(BOWL, 3);
  await ana.line(BOWL).getByRole("button", { name: "more" }).click();
  await ana.hears(`Only 3 of ${BOWL}`, "error");
  await ana.seesQuantity(BOWL, 3);
  await ana.isTold(`Only 3 of ${BOWL}`, "announce-now");
  await leaveAll([ana]);
});

test("a viewer sees everything and can change nothing; who is removed is told so", async () => {
  const [ana, ben] = await together("Gallery", ["Ben"], "viewer");
  await ana.add(MUG, 2);
  await ben.line(MUG).getByText("2 ×").waitFor();
  assert.equal(await ben.page.locator("cart-lines").getByRole("button").count(), 1); // to the total
  assert.equal(await ben.page.getByRole("button", { name: "Rename the cart" }).count(), 0);
  await ben.page.getByRole("button", { name: "Who is in it" }).click();
  const dialog = ben.page.getByRole("dialog");
  await dialog.getByText("Ana owns this cart.").waitFor();
  await dialog.locator(".role", { hasText: "Viewer" }).waitFor();
  assert.equal(await dialog.getByRole("combobox").count(), 0);

  await ana.page.getByRole("button", { name: "Share", exact: true }).click();
  await ana.page.getByRole("dialog").getByLabel("Role of Ben").selectOption("editor");
  await dialog.locator(".role", { hasText: "Editor" }).waitFor(); // Live, while it is open.
  await ana.page.getByRole("button", { name: "Remove Ben from the cart" }).click();
  await ana.page.getByRole("button", { name: "Remove", exact: true }).click();
  await ben.heading("You are no longer in this cart").waitFor();
  assert.equal(await ben.page.getByRole("dialog").count(), 0);
  assert.equal(await ben.page.evaluate(() => document.activeElement.tagName), "H1");
  await leaveAll([ana, ben]);
});

test("two tabs of one person are one face, and see each other's changes without a word", async () => {
  const [ana, ben] = await together("Twice", ["Ben"]);
  await ana.add(MUG);
  await ana.line(MUG).waitFor();
  const tab = await ana.context.newPage();
  ana.watch(tab);
  await tab.goto(await ana.address());
  const line = tab.locator("cart-line", { hasText: MUG });
  await line.getByRole("button", { name: "more" }).click();
  await ana.seesQuantity(MUG, 2);
  assert.equal(await ana.line(MUG).locator(".touched-by").count(), 0);
  const faces = ben.page.getByRole("group", { name: "Here now" });
  await eventually(async () => assert.equal(await faces.getByRole("img").count(), 2));
  await tab.close();
  await faces.getByRole("img", { name: /^Ana/ }).waitFor();
  await leaveAll([ana, ben]);
});

test("what was changed while somebody was away is counted, and marked in the history", async () => {
  const [ana, ben] = await together("Meanwhile", ["Ben"]);
  await ben.add(MUG);
  await ana.line(MUG).waitFor();
  await ana.goTo("My carts");
  await ben.add(BUNTING);
  await ben.line(MUG).getByRole("button", { name: "more" }).click();
  await ben.seesQuantity(MUG, 2);
  await ben.seesLive();
  // What she does herself, on another device, is no news to her.
  const cart = ben.page.url().split("/").at(-1);
  await ana.byLibrary((client) => client.room(cart).op({ kind: "note", text: "For Sunday" }));
  // Her page has followed the cart, which it still has open.
  await ana.page.locator("cart-row", { hasText: "Meanwhile" }).getByText("3 pieces").waitFor();
  await ana.openCart("Meanwhile");
  await ana.page.getByText("2 changes were made since you were last here.").waitFor();
  await ana.page.getByRole("button", { name: "See what" }).click();
  const missed = ana.page.locator(".deed", { hasText: "While you were away" });
  await eventually(async () => assert.equal(await missed.count(), 2));
  await ana.page.getByRole("heading", { name: "Today", level: 3 }).waitFor();
  await ben.add(CARD); // What comes now is on top, and isn't marked.
  await ana.page.locator(".deed").first().getByText(`added 1 × ${CARD}`).waitFor();
  assert.equal(await missed.count(), 2);
  await leaveAll([ana, ben]);
});

test("on a phone a line's menu does what its buttons do, and a held button counts on", async () => {
  const pressing = { width: 360, height: 740, clicks: false };
  const [ana, ben] = await together("Pocket", ["Ben"], "editor", pressing);
  await ben.add(MUG, 1);
  await ana.line(MUG).waitFor();
  const more = ana.line(MUG).getByRole("button", { name: `One ${MUG} more` });
  const { width, height } = await more.boundingBox();
  assert.ok(width >= 44 && height >= 44, `${width} × ${height}`);
  await more.hover();
  await ana.page.mouse.down();
  await eventually(async () => assert.ok(Number(await ana.quantity(MUG).inputValue()) >= 4));
  await ana.page.mouse.up();
  const held = await ana.quantity(MUG).inputValue();
  await ben.seesQuantity(MUG, Number(held)); // One change, however long it was held.
  await ben.hears(`Ana added ${Number(held) - 1} × ${MUG}.`);

  await ana.line(MUG).getByRole("button", { name: `More for ${MUG}` }).click();
  await ana.fits("menu");
  await ana.page.getByRole("dialog").getByRole("button", { name: "Save for later" }).click();
  await ben.page.locator(".saved .line", { hasText: MUG }).waitFor();
  await leaveAll([ana, ben]);
});

test("large numbers, long names and long notes keep to their places", async () => {
  const [ana, max] = await together("Large", ["Maximiliane-Friederike-Alexandrina"]);
  await max.page.setViewportSize({ width: 700, height: 1000 });
  await max.tab("Cart");
  await ana.add(BUNTING, 100_000);
  await max.hears(`Ana added 100,000 × ${BUNTING}.`);
  await max.page.locator(".totals", { hasText: "Total of 100,000 pieces" }).waitFor();
  const line = max.line(BUNTING);
  await max.seesQuantity(BUNTING, 100_000);
  const cut = await max.quantity(BUNTING).evaluate((field) => field.scrollWidth > field.clientWidth);
  assert.ok(!cut, "the quantity is cut off");
  const rows = await line.locator(".line-total").evaluate((total) => {
    const text = document.createRange();
    text.selectNodeContents(total);
    return text.getClientRects().length;
  });
  assert.equal(rows, 1, "the amount is broken in two");
  const { height } = await max.page.locator("page-header").boundingBox();
  assert.ok(height < 80, `the page's head is ${height} high`);
  await max.fits("a cart of large numbers");

  await ana.line(BUNTING).getByRole("button", { name: "Note on" }).click();
  const written = "As we did last year, if there is any. ".repeat(20).trim();
  await ana.line(BUNTING).getByRole("textbox", { name: "Note on" }).fill(written);
  await ana.page.keyboard.press("Control+Enter");
  assert.ok((await max.hears("wrote a note")).length < 200);
  const tall = async () => (await line.locator(".note").boundingBox()).height;
  const short = await tall();
  await line.getByRole("button", { name: "Show all of it" }).click();
  assert.ok((await tall()) > 2 * short);
  assert.equal(await line.locator(".note").innerText(), written);
  await line.getByRole("button", { name: "Show less" }).click();
  assert.equal(await tall(), short);
  await leaveAll([ana, max]);
});
