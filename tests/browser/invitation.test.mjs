/** Invitations, from the share dialog over the mail to the cart. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive } from "./shop.mjs";
import { eventually, mailedLink, SECONDS_MS } from "./support.mjs";

const MUG = "Stoneware mug";

/** Invite an address by the share dialog, which stays open. */
async function invite(person, email, role) {
  await person.page.getByRole("button", { name: "Share", exact: true }).click();
  const form = person.page.getByRole("form", { name: "Invite by e-mail" });
  await form.getByLabel("E-mail").fill(email);
  await form.getByLabel("Role").selectOption(role);
  await form.getByRole("button", { name: "Invite" }).click();
  const dialog = person.page.getByRole("dialog");
  await dialog.getByText(`An invitation is on its way to ${email}.`).waitFor();
  return dialog.getByRole("list", { name: "Invited" }).getByRole("listitem");
}

test("an invitation leads from the mail into the cart, over making an account", async () => {
  const ana = await (await arrive("Ana")).register();
  await ana.createCart("Housewarming");
  await ana.page.getByRole("button", { name: "Share", exact: true }).click();
  await ana.page.getByText("Confirm your own address first").waitFor();
  await ana.confirm();
  await ana.openCart("Housewarming");

  const ben = await arrive("Ben");
  const invited = await invite(ana, ben.email, "viewer");
  await invited.filter({ hasText: ben.email }).getByText("Viewer").waitFor();
  await ana.page.keyboard.press("Escape");

  await ben.open(new URL(await mailedLink("invitation", ben.email)).hash.replace(/^/, "/"));
  await ben.page.getByText("You are invited to a cart").waitFor();
  await ben.page.getByRole("link", { name: "Create an account" }).click();
  await ben.heading("Create an account").waitFor();
  await ben.page.reload(); // The way to the cart isn't lost by that.
  await ben.fillRegistration();
  await ben.heading("Confirm your address first").waitFor();
  const tab = await ben.context.newPage();
  ben.watch(tab);
  await tab.goto(await mailedLink("confirm", ben.email));
  await tab.getByRole("heading", { name: "Your address is confirmed" }).waitFor();
  await ben.heading("Housewarming").waitFor();
  await ben.page.getByText("You may look at this cart").waitFor();
  await ana.hears("Ben"); // Everybody in the cart sees who came.
  await ana.add(MUG, 1);
  await ben.line(MUG).waitFor();
  await ana.page.getByRole("button", { name: "Share", exact: true }).click();
  await ana.page.getByRole("form", { name: "Invite by e-mail" }).waitFor();
  await eventually(async () => assert.equal(await invited.count(), 0));
  await Promise.all([ana.leave(), ben.leave()]);
});

test("an invitation that was taken back, or is somebody else's, opens nothing and says so", async () => {
  const ana = await (await arrive("Ana")).register();
  await ana.confirm();
  const ben = await (await arrive("Ben")).register();
  await ben.confirm();
  await ana.createCart("Closed");
  const invited = await invite(ana, ben.email, "editor");
  const link = await mailedLink("invitation", ben.email);
  const cem = await (await arrive("Cem")).register();
  await cem.confirm();
  await cem.follow(link);
  await cem.heading("This invitation can't be opened").waitFor();
  await cem.page.getByText(`You are signed in as ${cem.email}`).waitFor();

  // As somebody else, the same link is tried again.
  await cem.page.getByRole("button", { name: "Sign in as somebody else" }).click();
  await invited.getByRole("button", { name: "Take back" }).click();
  await eventually(async () => assert.equal(await invited.count(), 0));
  await cem.signIn(ben.email);
  await cem.heading("This invitation can't be opened").waitFor();
  await Promise.all([ana.leave(), ben.leave(), cem.leave()]);
});

test("who is let in hears it at once, wherever they are, and the list has it", async () => {
  const ana = await (await arrive("Ana")).register();
  const ben = await (await arrive("Ben", { held: SECONDS_MS })).register();
  await ana.createCart("Surprise");
  await ana.share(ben, "editor");
  await ben.hears("Ana let you into “Surprise”.");
  await ben.page.locator("main").getByRole("link", { name: /Surprise/ }).waitFor();
  await ben.page.locator(".toast").getByRole("link", { name: "Open it" }).click();
  await ben.heading("Surprise").waitFor();
  await Promise.all([ana.leave(), ben.leave()]);
});
