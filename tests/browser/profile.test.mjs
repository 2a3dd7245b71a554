/** The profile, the data and the end of an account. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { arrive } from "./shop.mjs";
import { eventually, PASSWORD, stored } from "./support.mjs";

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
  await eventually(async () => assert.equal((await stored(page, "rooms")).length, 1));
  await remove(PASSWORD);
  await page.getByText("Your account is deleted.").waitFor();
  assert.deepEqual([await stored(page, "rooms"), await stored(page, "meta")], [[], []]);
  await ben.page.getByRole("button", { name: "Delete cart" }).waitFor(); // It is Ben's now.
  await page.getByLabel("E-mail").fill(ana.email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".form-error", { hasText: "wrong" }).waitFor();
  assert.equal(ana.forgive(/status of 40[13]/), 2);
  await Promise.all([ana.leave(), ben.leave()]);
});

test("what is chosen on one device isn't undone from another", async () => {
  const ana = await (await arrive("Ana")).register();
  const phone = await arrive("Ana", { width: 360, height: 740 });
  await phone.open("/#/signin");
  await phone.signIn(ana.email);
  const save = async (person, form, text) => {
    await person.page.locator(form).getByRole("button", { name: "Save" }).click();
    await person.hears(text);
  };
  const choice = (person, label) => person.page.getByLabel(label, { exact: true });
  await ana.account("Mails");
  await phone.account("Mails");
  await choice(phone, "Soon after they happen").check();
  await choice(phone, "Keep quiet at night").check();
  await choice(phone, "Quiet from").fill("21:30");
  await choice(phone, "Time zone").selectOption("America/New_York");
  await save(phone, "#mails", "Your choices are saved.");
  // This one has been open all the time, and shows what was chosen before.
  assert.ok(await choice(ana, "Once a day").isChecked());
  await choice(ana, "Mail me when somebody lets me into a cart").uncheck();
  await save(ana, "#mails", "Your choices are saved.");
  const hold = (person) =>
    eventually(async () => {
      assert.ok(await choice(person, "Soon after they happen").isChecked());
      assert.ok(!(await choice(person, "Mail me when somebody lets me into a cart").isChecked()));
      assert.equal(await choice(person, "Quiet from").inputValue(), "21:30");
      assert.equal(await choice(person, "Time zone").inputValue(), "America/New_York");
    });
  await hold(ana);

  // Who comes back to a tab sees what is chosen by now; what they have begun to type stays.
  await choice(phone, "Quiet until").fill("09:15");
  await phone.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await hold(phone);
  assert.equal(await choice(phone, "Quiet until").inputValue(), "09:15");

  await Promise.all([ana.account("Profile"), phone.account("Profile")]);
  await choice(phone, "Currency").selectOption("GBP");
  await save(phone, "#profile", "Your profile is saved.");
  await choice(ana, "Name").fill("Ana Maria");
  await save(ana, "#profile", "Your profile is saved.");
  await eventually(async () => assert.equal(await choice(ana, "Currency").inputValue(), "GBP"));
  await choice(ana, "Name").fill("Ana");
  await ana.page.locator("#profile").getByRole("button", { name: "Save" }).click();
  await ana.page.getByRole("button", { name: "Your account: Ana", exact: true }).waitFor();
  await ana.page.reload();
  await choice(ana, "Name").waitFor();
  assert.equal(await choice(ana, "Name").inputValue(), "Ana");
  assert.equal(await choice(ana, "Currency").inputValue(), "GBP");
  await Promise.all([ana.leave(), phone.leave()]);
});
