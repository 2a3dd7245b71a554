/**
 * Pictures of the page from a real server with the demo data; scripts/screenshots starts it.
 *
 *     node tests/browser/screenshots.mjs README_PICTURE [FOLDER]
 *
 * README_PICTURE is the one of the open cart; FOLDER takes every view in both themes, narrow and
 * wide.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { openBrowser, Person, Server } from "./support.mjs";

const ACCOUNT = /^\s+(\S+@\S+)\s+password: (\S+)$/;
const CART = /(#\/cart\/\S+)$/;
const SIZES = [
  { width: 360, height: 780 },
  { width: 1280, height: 800 },
];

const [readmePicture, folder] = process.argv.slice(2);
const server = new Server();
const browser = await openBrowser();

/** Somebody signed in to a demo account, with the cart open. */
async function enter(name, account, cart, options) {
  const person = await Person.arrive(browser, server, name, options);
  await person.open(`/${cart}`);
  await person.signIn(...account);
  await person.page.locator(".line").first().waitFor();
  return person;
}

/** Wait until animations and toasts' arrival are over, and take the picture. */
async function shoot(person, path) {
  await person.page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter((one) => one.effect.getTiming().iterations !== Infinity)
        .map((one) => one.finished),
    ),
  );
  await person.page.screenshot({ path });
}

/** The cart with two people in it, at the moment in which the other adds something. */
async function shootCart(owner, guest, path) {
  await guest.page.locator(".stepper .qty").nth(1).focus();
  await owner.page.locator(".lookers .avatar").waitFor();
  const product = guest.page
    .locator(".product")
    .filter({ has: guest.page.locator("button:enabled") })
    .nth(3);
  await product.locator(".qty").fill("2");
  await product.getByRole("button", { name: /^Add / }).click();
  await owner.page.locator(".toast").first().waitFor();
  await guest.page.locator(".stepper .qty").nth(1).focus();
  await owner.page.locator(".lookers .avatar").waitFor();
  await shoot(owner, path);
}

/** A view that is there at once. */
async function shootAt(person, hash, path) {
  await person.open(`/${hash}`);
  await person.page.locator("main:not(:has([aria-busy])) h1").waitFor();
  await shoot(person, path);
}

async function shootViews(account, cart, size, colorScheme) {
  const name = (view) => join(folder, `${view}-${size.width}-${colorScheme}.png`);
  const ada = await Person.arrive(browser, server, "Ada", { ...size, colorScheme });
  await ada.open(`/${cart}`);
  await shoot(ada, name("sign-in"));
  await ada.page.getByRole("link", { name: "Create an account" }).click();
  await shoot(ada, name("register"));
  await shootAt(ada, "#/guest", name("guest"));
  await shootAt(ada, "#/reset", name("forgot"));
  await ada.open(`/${cart}`);
  await ada.page.reload();
  await ada.signIn(...account);
  await ada.page.locator(".line").first().waitFor();
  await shoot(ada, name("cart"));
  for (const tab of ["Add", "People", "History"]) {
    await ada.tab(tab);
    await ada.page.locator("[role=tabpanel]:not([hidden]) li").first().waitFor();
    await shoot(ada, name(`cart-${tab.toLowerCase()}`));
  }
  if (size.width < 500) await ada.tab("Cart");
  await ada.page.getByRole("button", { name: "Share", exact: true }).click();
  await shoot(ada, name("share"));
  await ada.page.keyboard.press("Escape");
  for (const link of ["My carts", "Products"]) {
    await ada.page.getByRole("link", { name: link }).click();
    await ada.page.locator("main li").first().waitFor();
    await shoot(ada, name(link.toLowerCase().replace(" ", "-")));
  }
  await shootAt(ada, "#/account", name("profile"));
  await shootAt(ada, "#/account/password", name("password"));
  await shootAt(ada, "#/account/data", name("my-data"));
  await ada.open("/#/devices");
  await ada.page.locator(".device").first().waitFor();
  await shoot(ada, name("devices"));
  await ada.leave();
}

try {
  await server.start("--demo");
  const accounts = server.output.map((line) => ACCOUNT.exec(line)?.slice(1)).filter(Boolean);
  const cart = server.output.map((line) => CART.exec(line)?.[1]).find(Boolean);
  const size = { width: 1280, height: 800, colorScheme: "light" };
  const owner = await enter("Ada", accounts[0], cart, size);
  const guest = await enter("Ben", accounts[1], cart, size);
  await shootCart(owner, guest, readmePicture);
  await Promise.all([owner.leave(), guest.leave()]);
  if (folder) {
    await mkdir(folder, { recursive: true });
    for (const each of SIZES) {
      for (const scheme of ["light", "dark"]) await shootViews(accounts[0], cart, each, scheme);
    }
  }
} finally {
  await browser.close();
  await server.end();
}
