/**
 * Pictures of the page from a real server with the demo data; scripts/screenshots starts it.
 *
 *     node tests/browser/screenshots.mjs README_PICTURE [FOLDER [PATTERN]]
 *
 * README_PICTURE is the one of the open cart; FOLDER takes every view in every state (views.mjs),
 * or those whose name has the PATTERN, in both themes, at three widths.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { everyView, nameOf, show, stillness } from "./views.mjs";
import { World } from "./world.mjs";

const THEMES = ["light", "dark"];
const SIZES = [
  { width: 360, height: 780 },
  { width: 768, height: 1024 },
  { width: 1280, height: 800 },
];
const WIDE = { width: 1600, height: 1000 };
const SEEN_WIDE = /^(home-with-carts|cart-full)$/;

const [readmePicture, folder, pattern = ""] = process.argv.slice(2);

/** The open cart of `who`, with its lines. */
async function openCart(world, who) {
  const { page } = await world.page(who);
  await page.goto(`${world.url}/#/cart/${world.cart}`);
  await page.locator("cart-line .line-total").first().waitFor();
  return page;
}

/** The cart with two people in it, at the moment in which the other takes one more. */
async function shootCart(world, path) {
  const [ada, ben] = [await openCart(world, "ada"), await openCart(world, "ben")];
  const more = ben.getByRole("button", { name: /more$/ });
  await more.first().click();
  await ada.locator(".toast").first().waitFor();
  await ada.locator(".lookers .avatar").first().waitFor();
  await stillness(ada);
  await ada.screenshot({ path });
  await Promise.all([ada.close(), ben.close()]);
}

async function shootView(page, name) {
  const sizes = SEEN_WIDE.test(name) ? [...SIZES, WIDE] : SIZES;
  for (const size of sizes) {
    await page.setViewportSize(size);
    for (const colorScheme of THEMES) {
      await page.emulateMedia({ colorScheme });
      await stillness(page);
      await page.screenshot({ path: join(folder, `${name}-${size.width}-${colorScheme}.png`) });
    }
  }
}

const world = await World.make();
try {
  await shootCart(world, readmePicture);
  if (folder) {
    await mkdir(folder, { recursive: true });
    await everyView(async (entry) => {
      const name = nameOf(entry);
      if (name.includes(pattern)) await show(world, entry, SIZES[0], (page) => shootView(page, name));
    });
  }
} finally {
  await world.end();
}
