/** One's own account on the page: from signing up to deleting it, with mails and other devices. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive, server } from "./shop.mjs";
import { eventually, mailedLink, PASSWORD } from "./support.mjs";

const NEW_PASSWORD = "a longer phrase, and nobody's";
const SIGNED_OUT = "You have been signed out";

/** The same person's second browser. */
async function another(person) {
  const other = await arrive(person.name);
  other.email = person.email;
  return other;
}

test("an address is confirmed by the mailed link, and every tab knows", async () => {
  const ana = await (await arrive("Ana")).register();
  const { page } = ana;
  const banner = page.getByRole("complementary", { name: "Your account" });
  await banner.getByText(`We mailed a link to ${ana.email}`).waitFor();
  const first = await mailedLink("confirm", ana.email);
  await banner.getByRole("button", { name: "Send it again" }).click();
  await banner.getByText("Look into your mailbox").waitFor();
  const second = await mailedLink("confirm", ana.email);

  const tab = await ana.context.newPage();
  ana.watch(tab);
  await tab.goto(first); // A newer one has taken its place.
  await tab.getByRole("heading", { name: "This link no longer works" }).waitFor();
  await tab.goto(second);
  await tab.getByRole("heading", { name: "Your address is confirmed" }).waitFor();
  const address = await tab.evaluate(() => location.href);
  assert.doesNotMatch(address, /confirm/, "what is used up is no address to come back to");
  await banner.waitFor({ state: "hidden" });
  await tab.getByRole("link", { name: "To my carts" }).click();
  await tab.getByRole("heading", { name: "My carts" }).waitFor();
  assert.equal(ana.forgive(/status of 400/), 1);
  await ana.leave();
});

test("a forgotten password is replaced by mail, which signs out everywhere", async () => {
  const ana = await (await arrive("Ana")).register();
  const phone = await another(ana);
  await phone.open("/#/signin");
  await phone.page.getByRole("link", { name: "Forgot your password?" }).click();
  await phone.heading("Forgot your password?").waitFor();
  await phone.page.getByLabel("E-mail").fill(ana.email);
  await phone.page.getByRole("button", { name: "Mail me a link" }).click();
  await phone.heading("Look into your mailbox").waitFor();
  await phone.follow(await mailedLink("reset", ana.email));

  // What is refused stays, with its reason beside the field.
  const password = phone.page.getByLabel("New password");
  await password.fill("12345678");
  await phone.page.getByRole("button", { name: "Set new password" }).click();
  await phone.page.locator(".field-error", { hasText: "guessed" }).waitFor();
  assert.equal(await password.inputValue(), "12345678");
  await password.fill(NEW_PASSWORD);
  await password.press("Enter");
  await phone.page.getByText("Your new password is set").waitFor();
  await ana.page.getByText(SIGNED_OUT).waitFor();

  await phone.page.getByLabel("E-mail").fill(ana.email);
  await phone.page.getByLabel("Password").fill(PASSWORD);
  await phone.page.getByRole("button", { name: "Sign in" }).click();
  await phone.page.locator(".form-error", { hasText: "wrong" }).waitFor();
  await phone.signIn(ana.email, NEW_PASSWORD);
  await phone.page.getByText("Confirm your address").waitFor({ state: "hidden" });
  assert.equal(phone.forgive(/status of 40[01]/), 2);
  await Promise.all([ana.leave(), phone.leave()]);
});

test("devices are seen, and signed out while they look on", async () => {
  const ana = await (await arrive("Ana")).register();
  const cart = await ana.createCart("Lent");
  const phone = await another(ana);
  await phone.open(`/#/cart/${cart}`);
  await phone.signIn();
  await phone.heading("Lent").waitFor();

  await ana.account("Profile");
  await ana.page.getByRole("link", { name: "Devices" }).click();
  const devices = ana.page.getByRole("list", { name: "Devices" }).getByRole("listitem");
  await eventually(async () => assert.equal(await devices.count(), 2));
  await devices.filter({ hasText: "This device" }).waitFor();
  const other = devices.filter({ hasNotText: "This device" });
  await other.getByRole("button", { name: "Sign out" }).click();
  await phone.page.getByText(SIGNED_OUT).waitFor();
  await eventually(async () => assert.equal(await devices.count(), 1));

  // Whoever signs in again is where they were.
  await phone.signIn();
  await phone.heading("Lent").waitFor();

  // A changed password signs out the others only.
  await ana.page.getByRole("link", { name: "Password", exact: true }).click();
  await ana.page.getByLabel("Current password").fill("not this one");
  await ana.page.getByLabel("New password").fill(NEW_PASSWORD);
  await ana.page.getByRole("button", { name: "Change password" }).click();
  await ana.page.locator(".field-error", { hasText: "not your password" }).waitFor();
  assert.equal(await ana.page.getByLabel("New password").inputValue(), NEW_PASSWORD);
  await ana.page.getByLabel("Current password").fill(PASSWORD);
  await ana.page.getByRole("button", { name: "Change password" }).click();
  await ana.hears("Your password is changed");
  await phone.page.getByText(SIGNED_OUT).waitFor();
  await phone.signIn(ana.email, NEW_PASSWORD);

  await ana.page.getByRole("link", { name: "Devices" }).click();
  await ana.page.getByRole("button", { name: "Sign out everywhere" }).click();
  const sure = ana.page.getByRole("dialog");
  await sure.getByRole("button", { name: "Sign out everywhere" }).click();
  await ana.page.getByText("You are signed out everywhere.").waitFor();
  await phone.page.getByText(SIGNED_OUT).waitFor();
  assert.equal(ana.forgive(/status of 403/), 1);
  await Promise.all([ana.leave(), phone.leave()]);
});

test("tabs sign out and in together, and come back to where they were", async () => {
  const ana = await (await arrive("Ana")).register();
  await ana.createCart("Tabs");
  const tab = await ana.context.newPage();
  ana.watch(tab);
  await tab.goto(await ana.address());
  await tab.getByRole("heading", { name: "Tabs" }).waitFor();
  await ana.signOut();
  await ana.heading("Sign in").waitFor();
  await tab.getByText(SIGNED_OUT).waitFor();
  await ana.signIn();
  await tab.getByRole("heading", { name: "Tabs" }).waitFor();
  await tab.locator(".status", { hasText: /^Live$/ }).waitFor();

  const [keys, cookie] = await tab.evaluate(() => [Object.keys(localStorage), document.cookie]);
  const known = ["cartroom.carts", "cartroom.seen", "cartroom.theme", "cartroom.user"];
  const others = keys.filter((key) => !known.includes(key));
  assert.deepEqual(others, [], "what was looked at and by whom, nothing that opens the account");
  assert.equal(cookie, "", "no script can read what opens the account");
  await ana.leave();
});

test("who hears from another tab that it is over, and is signed in, stays so", async () => {
  const ana = await (await arrive("Ana")).register();
  const other = await ana.context.newPage();
  await other.goto(`${server.url}/docs`);
  const asked = ana.page.waitForResponse(/\/auth\/session$/);
  // As one does that asked with the cookie of a guest who has just got an account.
  await other.evaluate(() => new BroadcastChannel("cartroom.session").postMessage("ended"));
  await (await asked).finished();
  await ana.goTo("My carts");
  await ana.seesLive();
  await ana.leave();
});

test("a phone's width holds every view of an account", async () => {
  const ana = await (await arrive("Ana", { width: 360, height: 740 })).register();
  for (const view of ["Profile", "Password", "Devices", "My data"]) {
    if (view === "Profile") await ana.account("Profile");
    else await ana.page.locator(".subnav").getByRole("link", { name: view }).click();
    await ana.heading(view).waitFor();
    await ana.fits(view);
  }
  await ana.page.locator(".subnav").getByRole("link", { name: "Devices" }).click();
  await ana.page.getByText("This device").waitFor();
  await ana.fits("a device");
  await ana.createCart("Pocket");
  await ana.page.getByRole("button", { name: "Share", exact: true }).click();
  await ana.page.getByText("Confirm your own address first").waitFor();
  await ana.fits("share");
  await ana.page.keyboard.press("Escape");
  await ana.signOut();
  await ana.heading("Sign in").waitFor();
  await ana.open("/#/reset");
  await ana.page.getByLabel("E-mail").fill(`${"very.".repeat(11)}long@${"sub.".repeat(30)}example`);
  await ana.page.getByRole("button", { name: "Mail me a link" }).click();
  await ana.heading("Look into your mailbox").waitFor();
  await ana.fits("a long address");
  await ana.leave();
});
