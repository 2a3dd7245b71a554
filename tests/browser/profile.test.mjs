/** The profile, the data and the end of an account. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { arrive } from "./shop.mjs";
import { eventually, PASSWORD } from "./support.mjs";

test("a profile is changed, data exported, the account deleted", async () => {
  const ana = await (await arrive("Ana")).register();
  const ben = await (await arrive("Ben")).register();
  const { page } = ana;
  await ana.createCart("Left behind");
  await ana.share(ben, "editor");
  await ben.openCart("Left behind");
  await ana.account("Profile");
  await page.getByLabel("Name").fill("Ana Maria");
  await page.getByLabel("Dates and amounts").selectOption("de-DE");
  await page.getByLabel("Currency").selectOption("GBP");
  await page.locator("#profile").getByRole("button", { name: "Save" }).click();
  await ana.hears("Your profile is saved.");
  await ana.account("Mails");
  await page.getByLabel("Mail me when somebody lets me into a cart").uncheck();
  await page.locator("#mails").getByRole("button", { name: "Save" }).click();
  await ana.hears("Your choices are saved.");
  await page.reload();
  await page.getByRole("button", { name: "Your account: Ana Maria" }).waitFor();
  assert.ok(!(await page.getByLabel("Mail me when").isChecked()));
  await ana.account("Profile");
  assert.equal(await page.getByLabel("Dates and amounts").inputValue(), "de-DE");
  await ana.goTo("My carts");
  assert.equal(await page.getByLabel("Currency").inputValue(), "GBP");

  await ana.account("Profile");
  await page.getByRole("link", { name: "My data" }).click();
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export my data" }).click();
  const exported = await readFile(await (await saving).path(), "utf-8");
  assert.match(exported, new RegExp(ana.email));

  const remove = async (password) => {
    await page.getByLabel("Your password").fill(password);
    await page.getByRole("button", { name: "Delete my account" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete it for good" }).click();
  };
  await remove("not this one");
  await page.locator(".field-error", { hasText: "not your password" }).waitFor();
  await remove(PASSWORD);
  await page.getByText("Your account is deleted.").waitFor();
  await ben.page.getByRole("button", { name: "Delete cart" }).waitFor(); // It is Ben's now.
  await page.getByLabel("E-mail").fill(ana.email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".form-error", { hasText: "wrong" }).waitFor();
  assert.equal(ana.forgive(/status of 40[13]/), 2);
  await Promise.all([ana.leave(), ben.leave()]);
});
