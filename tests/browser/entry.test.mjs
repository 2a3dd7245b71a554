/** Coming in: the forms as people and their password managers use them, and guests. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive } from "./shop.mjs";
import { eventually, PASSWORD, SETTLE_MS } from "./support.mjs";

const MUG = "Stoneware mug";
const BUNTING = "Party bunting";
/** For longer than a test takes. */
const WAIT_S = 3_000;

/** What a manager of passwords looks at, field by field. */
function fieldsOf(page) {
  return page.locator("form").evaluate((form) => {
    const inputs = [...form.querySelectorAll("input")];
    return inputs.map(({ id, name, type, autocomplete }) => [id, name, type, autocomplete]);
  });
}

test("password managers find the fields that they know", async () => {
  const ana = await arrive("Ana");
  const { page } = ana;
  const email = ["email", "email", "email", "username"];
  await ana.open("/#/signin");
  await ana.heading("Sign in").waitFor();
  const current = ["current-password", "password", "password", "current-password"];
  assert.deepEqual(await fieldsOf(page), [email, current]);
  await ana.open("/#/register");
  await ana.heading("Create an account").waitFor();
  const name = ["name", "name", "text", "name"];
  const fresh = ["new-password", "password", "password", "new-password"];
  assert.deepEqual(await fieldsOf(page), [name, email, fresh]);

  // What is pasted arrives, and can be looked at.
  const password = page.getByLabel("Password");
  await password.focus();
  await page.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", "pasted");
    const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
    if (!document.activeElement.dispatchEvent(paste)) throw new Error("pasting is refused");
  });
  await password.fill("to be seen");
  await page.getByRole("button", { name: "Show what is typed" }).click();
  assert.equal(await password.getAttribute("type"), "text");
  await page.getByRole("button", { name: "Hide what is typed" }).press("Enter");
  assert.equal(await password.getAttribute("type"), "password");

  await ana.register();
  await ana.open("/#/account/password");
  await ana.heading("Password").waitFor();
  const change = await fieldsOf(page);
  assert.deepEqual(
    change.map(([, , , autocomplete]) => autocomplete),
    ["username", "current-password", "new-password"],
  );
  assert.equal(await page.locator("input[name=username]").inputValue(), ana.email);
  await ana.leave();
});

test("errors stand beside their field, and nothing that was typed is lost", async () => {
  const ben = await (await arrive("Ben")).register();
  const ana = await arrive("Ana");
  const { page } = ana;
  await ana.open("/#/register");
  const [name, email, password] = ["Name", "E-mail", "Password"].map((one) => page.getByLabel(one));
  const create = page.getByRole("button", { name: "Create account" });
  await name.fill("Ana");
  await email.fill("ana at home");
  await password.fill("short");
  await create.click();
  const told = async (field) => {
    const ids = (await field.getAttribute("aria-describedby")).split(" ");
    return page.locator(`#${ids.at(-1)}`).innerText();
  };
  assert.equal(await email.getAttribute("aria-invalid"), "true");
  assert.match(await told(email), /@/);
  assert.match(await told(password), /8 characters/);
  await eventually(async () => assert.ok(await email.evaluate((one) => one.matches(":focus"))));

  // The service's refusals stand there too.
  await email.fill(ben.email);
  await password.fill("password1");
  await create.click();
  await page.locator(".field-error", { hasText: /guessed/ }).waitFor();
  await password.fill(PASSWORD);
  await create.click();
  await eventually(async () => assert.match(await told(email), /log in instead/));
  await page.getByRole("link", { name: "Sign in" }).click();
  await ana.heading("Sign in").waitFor();
  assert.equal(await email.inputValue(), ben.email, "the address comes along");
  await page.getByLabel("Password").fill("a guess");
  await page.goBack();
  await ana.heading("Create an account").waitFor();
  assert.equal(await name.inputValue(), "Ana");
  assert.equal(await password.inputValue(), PASSWORD);

  // Away from the network, and back.
  await email.fill(ana.email);
  await ana.context.setOffline(true);
  await create.click();
  await page.locator(".form-error", { hasText: "You are offline" }).waitFor();
  assert.equal(await password.inputValue(), PASSWORD);
  await ana.context.setOffline(false);
  await create.click();
  await ana.isHome();
  assert.equal(ana.forgive(/status of 4(00|09)|ERR_INTERNET_DISCONNECTED/), 3);
  await Promise.all([ana.leave(), ben.leave()]);
});

test("who is signed in meets no form, however long it takes to find that out", async () => {
  const ana = await (await arrive("Ana")).enrol();
  const { page } = ana;
  let answer;
  const released = new Promise((resolve) => (answer = resolve));
  await page.route("**/auth/session", async (route) => {
    await released;
    await route.continue();
  });
  await ana.open("/#/carts");
  await page.getByRole("heading", { name: "Connecting…" }).waitFor();
  await page.evaluate(async () => {
    const view = document.getElementById("view");
    window.shown = [];
    const look = () => window.shown.push(...[...view.children].map(({ localName }) => localName));
    new MutationObserver(look).observe(view, { childList: true });
    // Whatever comes of another address has come by then.
    const changed = new Promise((resolve) => window.addEventListener("hashchange", resolve));
    location.hash = "#/products";
    await changed;
    await fetch("/healthz");
  });
  answer();
  await ana.heading("Products").waitFor();
  assert.deepEqual(await page.evaluate(() => window.shown), ["products-view"]);
  await ana.leave();
});

test("a form waits for its answer, once, and says when it may be sent again", async () => {
  const ana = await (await arrive("Ana")).register();
  const { page } = ana;
  await ana.signOut();
  await ana.heading("Sign in").waitFor();
  let asked = 0;
  let answer;
  const held = new Promise((resolve) => {
    answer = resolve;
  });
  await page.route("**/auth/login", async (route) => {
    asked += 1;
    await held;
    const problem = { code: "rate_limited", detail: "Too many attempts", retry_after_s: WAIT_S };
    await route.fulfill({
      status: 429,
      contentType: "application/problem+json",
      body: JSON.stringify({ ...problem, status: 429 }),
    });
  });
  await page.getByLabel("E-mail").fill(ana.email);
  await page.getByLabel("Password").fill(PASSWORD);
  const button = page.locator("#sign-in button[type=submit]");
  await button.click();
  await page.getByRole("button", { name: "Signing in…" }).waitFor();
  await button.click({ force: true });
  await page.getByLabel("Password").press("Enter");
  await page.getByText("Still waiting for the service…").waitFor();
  answer();
  await page.locator(".form-error", { hasText: "Too many attempts. Try again in 50 minutes." }).waitFor();
  assert.equal(await button.getAttribute("aria-disabled"), "true");
  assert.equal(asked, 1);
  assert.equal(await page.getByLabel("Password").inputValue(), PASSWORD);
  await page.unroute("**/auth/login");
  await page.evaluate((waited) => {
    const begun = Date.now.bind(Date);
    Date.now = () => begun() + waited;
  }, 1000 * WAIT_S);
  await page.getByRole("button", { name: "Sign in", exact: true }).click(); // Once it is time.
  await ana.isHome();
  assert.equal(ana.forgive(/status of 429/), 1);
  await ana.leave();
});

async function comeAsGuest(guest) {
  await guest.open();
  await guest.page.getByRole("link", { name: "Continue as guest" }).click();
  await guest.page.getByLabel("Name").fill(guest.name);
  await guest.page.getByRole("button", { name: "Continue as guest" }).click();
  await guest.isHome();
  return guest;
}

test("a guest fills a cart, makes an account, and keeps it", async () => {
  const ana = await comeAsGuest(await arrive("Ana"));
  const { page } = ana;
  await page.locator("header").getByText("Guest", { exact: true }).waitFor();
  await ana.createCart("Picnic");
  await ana.add(MUG, 2);
  await ana.seesQuantity(MUG, 2);
  const tab = await ana.context.newPage();
  ana.watch(tab);
  await tab.goto(await ana.address());
  await tab.getByRole("heading", { name: "Picnic", level: 1 }).waitFor();
  await ana.signOut();
  const asking = page.getByRole("dialog", { name: "Sign out as a guest?" });
  await asking.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("link", { name: "Create an account" }).click();
  await ana.heading("Create an account").waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), "Ana");
  await ana.fillRegistration();
  await ana.heading("Picnic").waitFor(); // They are where they were.
  await ana.seesQuantity(MUG, 2);
  await ana.line(MUG).getByRole("button", { name: "more" }).click();
  await ana.seesQuantity(MUG, 3);
  await page.locator("header").getByText("Guest", { exact: true }).waitFor({ state: "hidden" });
  await page.getByText("Confirm your address").waitFor();

  // The guest's other tab is the account's now.
  await tab.getByText("Confirm your address").waitFor();
  await tab.locator(".status", { hasText: /^Live$/ }).waitFor();
  await tab.locator(".line", { hasText: MUG }).getByRole("button", { name: "more" }).click();
  await ana.seesQuantity(MUG, 4);
  await ana.leave();
});

test("a guest fills a cart, signs in, and has it in the account", async () => {
  const home = await (await arrive("Ana")).register();
  const cart = await home.createCart("At home");
  const guest = await arrive("Guest", { held: [SETTLE_MS] });
  const { page } = guest;
  let slow = false;
  const waiting = [];
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const upstream = socket.connectToServer();
    socket.onMessage((message) => {
      if (slow && message.includes("cart.op")) waiting.push(() => upstream.send(message));
      else upstream.send(message);
    });
  });
  let asked = false;
  page.on("request", (request) => {
    asked ||= request.url().endsWith("/auth/login");
  });
  const ana = await comeAsGuest(guest);
  await ana.createCart("On the road");
  await ana.add(BUNTING, 3);
  await ana.seesQuantity(BUNTING, 3);
  slow = true;
  await ana.line(BUNTING).getByRole("button", { name: "more" }).click();
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByText("goes into your account").waitFor();
  await page.getByLabel("E-mail").fill(home.email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Signing in…" }).waitFor();
  await eventually(() => assert.equal(waiting.length, 1));
  assert.ok(!asked, "what the guest did is sent before");
  slow = false;
  waiting.forEach((send) => send());
  await ana.seesQuantity(BUNTING, 4);
  await ana.openCart("At home");
  assert.equal(new URL(await ana.address()).hash, `#/cart/${cart}`);
  await home.openCart("On the road");
  await home.seesQuantity(BUNTING, 4);
  await Promise.all([ana.leave(), home.leave()]);
});
