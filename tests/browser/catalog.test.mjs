/** Looking around: the first page, the search as one types, a product and the way into a cart. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive } from "./shop.mjs";
import { eventually } from "./support.mjs";

const MUG = "Stoneware mug";
const SHIRT = "Linen shirt";

/** The text of what has the focus. */
function focused(page) {
  return page.evaluate(() => {
    const { activeElement } = document;
    return activeElement.getAttribute("aria-label") ?? activeElement.textContent;
  });
}

function found(page) {
  return page.getByRole("list", { name: "Products" }).locator("product-card");
}

test("whoever comes by finds a product by the keyboard alone, and opens it", async () => {
  const eve = await arrive("Eve");
  const { page } = eve;
  await eve.open();
  await eve.heading("Fill one cart together").waitFor();
  await page.getByText("24+ products").waitFor();
  const box = page.getByRole("searchbox", { name: "Find products" });
  await box.focus();
  await page.keyboard.type("greeting card");
  await page.getByRole("status").getByText("24+ products for “greeting card”").waitFor();
  await page.keyboard.press("ArrowDown");
  await eventually(async () => assert.equal(await focused(page), "Greeting card 0"));
  await page.keyboard.press("ArrowRight");
  assert.equal(await focused(page), "Greeting card 1");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowUp");
  assert.ok(await box.evaluate((input) => input.matches(":focus")));

  // The next page follows, and the focus is on its first product.
  await page.getByRole("button", { name: "Load more" }).press("Enter");
  await page.getByText("40 products for “greeting card”").waitFor();
  const first = await found(page).nth(24).locator("a").innerText();
  await eventually(async () => assert.equal(await focused(page), first));

  await box.fill("stoneware mu");
  await page.getByText("1 product for “stoneware mu”").waitFor();
  await box.press("Enter");
  await eventually(async () => assert.equal(await focused(page), MUG));
  await page.keyboard.press("Enter");
  await eve.heading(MUG).waitFor();
  await page.getByText("500 in stock").waitFor();

  // The way back leads to the same results.
  await page.goBack();
  await page.getByText("1 product for “stoneware mu”").waitFor();
  assert.equal(await box.inputValue(), "stoneware mu");
  await box.fill("no such thing");
  await page.getByText("Nothing found for “no such thing”.").waitFor();
  await page.getByRole("button", { name: "Show all products" }).click();
  await page.getByText("24+ products").waitFor();
  await eve.leave();
});

test("an answer that comes late changes nothing; one that fails is asked for again", async () => {
  const eve = await arrive("Eve");
  const { page } = eve;
  let late;
  const held = new Promise((resolve) => {
    late = resolve;
  });
  await page.route(/q=bow(&|$)/, async (route) => {
    await held;
    await route.continue().catch(() => {}); // The page has given it up.
  });
  await eve.open("/#/products");
  const box = page.getByRole("searchbox", { name: "Find products" });
  const asked = page.waitForRequest(/q=bow(&|$)/);
  await box.fill("bow");
  await asked;
  await box.fill(MUG);
  await page.getByText(`1 product for “${MUG}”`).waitFor();
  late();
  await eve.context.setOffline(true);
  await box.fill("bowl");
  await page.getByRole("status").getByText("You are offline").waitFor();
  await page.getByRole("button", { name: "Try again" }).waitFor();
  await eve.context.setOffline(false); // It tries by itself.
  await page.getByText("1 product for “bowl”").waitFor();
  assert.equal(await found(page).count(), 1);
  assert.equal(eve.forgive(/ERR_INTERNET_DISCONNECTED/) > 0, true);
  await eve.leave();
});

test("categories narrow what is shown", async () => {
  const eve = await arrive("Eve");
  const { page } = eve;
  await eve.open();
  const clothing = page.getByRole("group", { name: "Categories" }).getByRole("button", { name: "Clothing" });
  await clothing.click();
  await page.getByText("5 products in Clothing").waitFor();
  assert.equal(await clothing.getAttribute("aria-pressed"), "true");
  await page.getByRole("searchbox", { name: "Find products" }).fill("shirt large");
  await page.getByText("2 products for “shirt large” in Clothing").waitFor();
  await page.reload();
  await page.getByText("2 products for “shirt large” in Clothing").waitFor();
  await eve.leave();
});

test("a variant is chosen, and goes into a guest's first cart", async () => {
  const eve = await arrive("Eve");
  const { page } = eve;
  await eve.open(`/#/product/${encodeURIComponent("SHIRT/S BLUE")}`);
  await eve.heading(SHIRT).waitFor();
  await page.getByText("Only 2 left").waitFor();
  const size = page.getByRole("group", { name: "Size" });
  const sizes = await size.getByRole("radio").evaluateAll((all) => all.map(({ value }) => value));
  assert.deepEqual(sizes, ["Small", "Large"]);
  await size.getByRole("radio", { name: "Small" }).focus();
  await page.keyboard.press("ArrowRight");
  await page.getByText("Only 7 left").waitFor();
  await eventually(async () =>
    assert.ok(await size.getByRole("radio", { name: "Large" }).evaluate((one) => one.matches(":focus"))),
  );
  await page.getByRole("group", { name: "Colour" }).getByRole("radio", { name: "White" }).check();
  await page.getByText("€44.00").waitFor();
  await page.getByText("€59.00").waitFor();
  assert.equal(new URL(await eve.address()).hash, `#/product/${encodeURIComponent("SHIRT/L WHITE")}`);

  // As a guest they are back where they were, with their choice.
  await page.getByRole("button", { name: `One ${SHIRT} more` }).click();
  await page.locator("main").getByRole("link", { name: "Continue as guest" }).click();
  await page.getByLabel("Name").fill(eve.name);
  await page.getByRole("button", { name: "Continue as guest" }).click();
  await eve.heading(SHIRT).waitFor();
  await page.getByText("€59.00").waitFor();
  assert.equal(await page.getByLabel(`Quantity of ${SHIRT}`).inputValue(), "2");
  await page.getByLabel("Name of the new cart").fill("Wardrobe");
  await page.getByRole("button", { name: "Add to cart" }).click();
  await eve.hears(`2 × ${SHIRT} - Large White went into “Wardrobe”`);
  await page.locator("main").getByText("2 in “Wardrobe” now.").waitFor();
  const cart = page.getByLabel("Cart", { exact: true }).locator("option:checked");
  await eventually(async () => assert.equal(await cart.innerText(), "Wardrobe"));
  await page.locator("main").getByRole("link", { name: "Open the cart" }).click();
  await eve.heading("Wardrobe").waitFor();
  await eve.seesQuantity(SHIRT, 2);
  await eve.leave();
});

test("a product goes into the cart that is chosen, for whom it is meant", async () => {
  const ana = await (await arrive("Ana")).register();
  const ben = await (await arrive("Ben")).register();
  const { page } = ana;
  await ana.createCart("Other");
  await ana.createCart("Ours");
  await ana.share(ben, "editor");
  await ana.open("/#/product/MUG");
  await ana.heading(MUG).waitFor();
  const cart = page.getByLabel("Cart", { exact: true });
  await eventually(async () => assert.equal(await cart.locator("option:checked").innerText(), "Ours"));
  await page.getByLabel("For", { exact: true }).selectOption({ label: "Ben" });
  await page.getByLabel(`Quantity of ${MUG}`).fill("3");
  await page.getByRole("button", { name: "Add to cart" }).click();
  await ana.hears(`3 × ${MUG} went into “Ours”`);
  await ben.openCart("Ours");
  await ben.page.getByRole("heading", { name: /For Ben|For you/ }).waitFor();
  await ben.seesQuantity(MUG, 3);

  await ana.goTo("Products");
  await page.getByLabel("Add to").selectOption({ label: "Other" });
  await ana.find("Party bunting");
  const add = page.getByRole("button", { name: "Add Party bunting" });
  await eventually(async () => assert.ok(await add.isEnabled()));
  await add.press("Enter");
  await page.getByText("1 in the cart").waitFor();
  await Promise.all([ana.leave(), ben.leave()]);
});

test("what there isn't is said, and what can't be loaded comes once it can", async () => {
  const eve = await arrive("Eve", { width: 360, height: 740 });
  const { page } = eve;
  await eve.open("/#/product/%E0%A4%A");
  await eve.heading("There is no such product").waitFor();
  await page.getByRole("link", { name: "All products" }).click();
  await eve.heading("Products").waitFor();
  await eve.fits("products");
  await page.getByText("24+ products").waitFor();
  await eve.context.setOffline(true);
  await page.getByRole("link", { name: "Greeting card 0" }).click();
  await eve.heading("This product could not be loaded").waitFor();
  await eve.context.setOffline(false);
  await eve.heading("Greeting card 0").waitFor();
  await eve.fits("a product");
  await eve.open();
  await eve.heading("Fill one cart together").waitFor();
  await eve.fits("the first page");
  assert.equal(eve.forgive(/ERR_INTERNET_DISCONNECTED|status of 404/) > 1, true);
  await eve.leave();
});
