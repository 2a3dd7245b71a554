/**
 * What the browser tests share: a server of our own, a browser, and people in it.
 * `tests/test_page.py` says by the environment where Python, Chromium and the stores are.
 */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { chromium } from "playwright-core";
import WebSocket from "ws";

import { Cartroom, MemoryStore } from "../../static/sdk/cartroom.js";
import { DEADLINE_MS, eventually, given, PASSWORD } from "./server.mjs";

export { DEADLINE_MS, eventually, PASSWORD, Server } from "./server.mjs";

export function openBrowser() {
  return chromium.launch({
    executablePath: given("CARTROOM_TEST_CHROMIUM"),
    args: ["--disable-quic", "--disable-background-networking", "--disable-component-update"],
  });
}

const seenMails = new Set();

/**
 * The link of the first mail of `kind` to an address that nobody has taken yet: the first one in it,
 * or the first that looks like `pattern`.
 */
export async function mailedLink(kind, email, pattern = /^http\S+$/m) {
  const folder = join(given("CARTROOM_DATA"), "mail");
  return eventually(async () => {
    for (const name of (await readdir(folder)).sort()) {
      if (seenMails.has(name) || !name.endsWith(".eml") || !name.includes(`-${kind}-`)) continue;
      const text = (await readFile(join(folder, name), "utf-8")).replaceAll("\r\n", "\n");
      if (!text.includes(`\nTo: ${email}\n`)) continue;
      const [link] = pattern.exec(text) ?? [];
      if (!link) continue;
      seenMails.add(name);
      return link;
    }
    throw new Error(`no mail of the kind ${kind} came to ${email}`);
  });
}

/** All that the library keeps in the browser of one kind: "clients", "rooms" or "meta". */
export function stored(page, area) {
  return page.evaluate(async (area) => {
    const result = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const opening = indexedDB.open("cartroom");
    // Made here, it would be without what the library looks for in it.
    opening.onupgradeneeded = () => opening.transaction.abort();
    const database = await result(opening).catch(() => null);
    if (!database) return [];
    try {
      return await result(database.transaction(area).objectStore(area).getAll());
    } finally {
      database.close();
    }
  }, area);
}

let people = 0;

/** A time of a module of `static/`, in ms, by its name there. */
async function timeOf(module, name) {
  const source = await readFile(new URL(`../../static/${module}`, import.meta.url), "utf-8");
  const [, value] = RegExp(`\\b${name}(?: =|:) ([\\d_]+)[;,]`).exec(source) ?? [];
  assert.ok(value, `${module} says what ${name} is`);
  return Number(value.replaceAll("_", ""));
}

/** How long a button is pressed until it counts on: a slow machine's clicks may take as long. */
const HOLD_MS = await timeOf("js/elements/quantity-stepper.js", "HOLD_MS");
/** After so long the library gives up the service, or the browser's store: both may be slow here. */
const PATIENCE_MS = await Promise.all(
  ["reply_timeout_ms", "open_timeout_ms", "store_timeout_ms"].map((name) => timeOf("sdk/timings.js", name)),
);
/** What people are given some seconds for: messages, and to undo a deletion. */
export const SECONDS_MS = await Promise.all([
  timeOf("js/elements/toasts.js", "SHOWN_MS"),
  timeOf("js/elements/toasts.js", "LONG_SHOWN_MS"),
  timeOf("js/app/deletions.js", "UNDO_MS"),
]);
/** So long a page that is loaded again waits for its former self to let go of what it stored. */
export const CLAIM_WAIT_MS = await timeOf("sdk/stores/store.js", "CLAIM_WAIT_MS");
/** So long a line shows who changed it. */
export const TOUCHED_MS = await timeOf("js/elements/cart-line.js", "TOUCHED_MS");
/** So long signing in waits for what a guest has done. */
export const SETTLE_MS = await timeOf("js/main.js", "SETTLE_MS");

/**
 * Runs in the page, before its own: what it would do after one of these `times`, it does once
 * `passTime()` is called; `stretched` gives other ones for some, `[[ms, ms]]`.
 */
function holdTimers({ times, stretched }) {
  const [begin, end] = [globalThis.setTimeout.bind(globalThis), globalThis.clearTimeout.bind(globalThis)];
  const held = new Map();
  let last = 0;
  globalThis.setTimeout = (act, ms, ...given) => {
    const [, longer = ms] = stretched.find(([usual]) => usual === ms) ?? [];
    if (!times.includes(ms)) return begin(act, longer, ...given);
    last -= 1;
    held.set(last, () => act(...given));
    return last;
  };
  globalThis.clearTimeout = (timer) => void (held.delete(timer) || end(timer));
  globalThis.passTime = () => {
    const due = [...held.values()];
    held.clear();
    for (const act of due) act();
  };
}

/** Runs in the page, before its own: what it tells people is passed on, as it may go soon. */
function passOn(places) {
  const listen = (place) => {
    const listener = new MutationObserver((changes) => {
      for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
        const { classList, textContent } = node;
        const seen = node.checkVisibility();
        globalThis.tellTest({ place: place.id, kinds: [...classList], text: textContent, seen });
      }
    });
    listener.observe(place, { childList: true });
  };
  // The elements are there, and none of the page's modules has begun.
  const begin = () => places.map((id) => document.getElementById(id)).filter(Boolean).forEach(listen);
  document.addEventListener("readystatechange", begin, { once: true });
}

/** Somebody with a browser of their own: cookies, storage and window are nobody else's. */
export class Person {
  /** Console errors, page errors and refused policies, which no test may leave. */
  problems = [];
  /** What their page has told them and they haven't heard yet: `{place, kinds, text, seen}`. */
  told = [];
  /**
   * `keeps`: their browser keeps the page by a service worker, which takes its time. `held`: what
   * their page does after one of these times, it does when `passTime` is called. `stretched`: what
   * it does after one time, it does after another, `[[ms, ms]]`. `clicks`: they let go of what they
   * press at once, however slow the machine is.
   */
  static async arrive(browser, server, name, given = {}) {
    const { width = 1280, height = 800, colorScheme, keeps = false } = given;
    const { held = [], stretched = [], clicks = true } = given;
    const person = new Person();
    person.name = name;
    person.server = server;
    people += 1;
    person.email = `${name.toLowerCase()}.${people}@shop.example`;
    person.context = await browser.newContext({
      viewport: { width, height },
      locale: "en-GB",
      colorScheme,
      serviceWorkers: keeps ? "allow" : "block",
    });
    person.context.setDefaultTimeout(DEADLINE_MS);
    const times = [...PATIENCE_MS, ...held, ...(clicks ? [HOLD_MS] : [])];
    await person.context.addInitScript(holdTimers, { times, stretched });
    await person.context.exposeBinding("tellTest", ({ page }, told) => {
      if (page === person.page) person.told.push(told);
    });
    await person.context.addInitScript(passOn, ["toasts", "announce-polite", "announce-now"]);
    person.page = await person.context.newPage();
    person.watch(person.page);
    return person;
  }

  watch(page) {
    page.on("pageerror", (error) => this.problems.push(error.stack));
    page.on("console", (message) => {
      if (message.type() === "error") this.problems.push(message.text());
    });
  }

  async open(path = "/") {
    await this.page.goto(this.server.url + path);
  }

  /** Have an account, and their browser signed in to it; the page isn't open yet. */
  async enrol() {
    const answer = await this.context.request.post(`${this.server.url}/api/v1/auth/register`, {
      data: { name: this.name, email: this.email, password: PASSWORD, session: "cookie" },
      headers: { Origin: this.server.url },
    });
    assert.equal(answer.status(), 201);
    this.id = (await answer.json()).user.id;
    assert.match(this.id, /^usr_/);
    return this;
  }

  /** Have an account, and be signed in on the first page. */
  async register() {
    await this.enrol();
    await this.open();
    await this.isHome();
    return this;
  }

  /** Signed in, and on the first page. */
  async isHome() {
    await this.heading(`Hello, ${this.name}`).waitFor();
  }

  /** Fill the form for a new account, and send it. */
  async fillRegistration() {
    await this.page.getByLabel("Name").fill(this.name);
    await this.page.getByLabel("E-mail").fill(this.email);
    await this.page.getByLabel("Password").fill(PASSWORD);
    await this.page.getByRole("button", { name: "Create account" }).click();
  }

  /** Follow the link that was mailed to confirm the address. */
  async confirm() {
    await this.follow(await mailedLink("confirm", this.email));
    await this.page.getByRole("heading", { name: "Your address is confirmed" }).waitFor();
  }

  /** Open a mailed link, as one does from another program. */
  async follow(link) {
    await this.page.goto("about:blank");
    await this.page.goto(link);
  }

  /** No view may be wider than the window. */
  async fits(view) {
    const { scrollWidth, clientWidth } = await this.page.evaluate(() => ({
      scrollWidth: document.documentElement.scrollWidth,
      clientWidth: document.documentElement.clientWidth,
    }));
    assert.ok(scrollWidth <= clientWidth, `${view}: ${scrollWidth} > ${clientWidth}`);
  }

  heading(name) {
    return this.page.getByRole("heading", { name, level: 1 });
  }

  /** Open what is behind one's own name in the page's head. */
  async openAccount() {
    await this.page.getByRole("button", { name: /^Your account/ }).click();
    await this.page.locator(".account-panel:popover-open").waitFor();
  }

  /** Look at a view of one's own account. */
  async account(view) {
    await this.openAccount();
    await this.page.locator(".account-panel").getByRole("link", { name: view }).click();
    await this.heading(view).waitFor();
  }

  /** Choose to sign out, whatever comes of it. */
  async signOut() {
    await this.openAccount();
    await this.page.locator(".account-panel").getByRole("button", { name: "Sign out" }).click();
  }

  /** Follow a link of the page's head. */
  async goTo(name, heading = name) {
    await this.page.locator("#header").getByRole("link", { name, exact: true }).click();
    await this.heading(heading).waitFor();
  }

  /** Make a cart on the page and be in it; its id comes back. */
  async createCart(name) {
    await this.goTo("My carts");
    await this.page.getByLabel("Name", { exact: true }).fill(name);
    await this.page.getByRole("button", { name: "Create cart" }).click();
    await this.page.getByRole("heading", { name, level: 1 }).waitFor();
    return new URL(await this.address()).hash.replace("#/cart/", "");
  }

  /** Sign in to an account that there is. */
  async signIn(email = this.email, password = PASSWORD) {
    await this.page.getByLabel("E-mail").fill(email);
    await this.page.getByLabel("Password").fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.seesLive();
  }

  /** Have the library do something in their name, beside the page: `act(client)`. */
  async byLibrary(act) {
    const { url } = this.server;
    const cookies = await this.context.cookies();
    const Cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
    class SignedIn extends WebSocket {
      constructor(address, protocols) {
        super(address, protocols, { headers: { Cookie, Origin: url } });
      }
    }
    const client = new Cartroom({
      url: `${url.replace("http", "ws")}/ws`,
      WebSocket: SignedIn,
      token: () => null,
      store: new MemoryStore(),
      timings: { reply_timeout_ms: DEADLINE_MS, open_timeout_ms: DEADLINE_MS, live_timeout_ms: DEADLINE_MS },
    });
    client.start();
    try {
      return await act(client);
    } finally {
      client.stop();
    }
  }

  async share(who, role) {
    await this.page.getByRole("button", { name: "Share", exact: true }).click();
    const dialog = this.page.getByRole("dialog");
    const form = dialog.getByRole("form", { name: "Share by id" });
    await form.getByLabel("User id").fill(who.id);
    await form.getByLabel("Role").selectOption(role);
    await form.getByRole("button", { name: "Share", exact: true }).click();
    await dialog.getByText(`${who.name} is in the cart now.`).waitFor();
    await this.page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
  }

  /** Open a cart from the list of one's carts. */
  async openCart(name) {
    await this.goTo("My carts");
    await this.page.getByRole("link", { name: new RegExp(name) }).click();
    await this.page.getByRole("heading", { name, level: 1 }).waitFor();
  }

  /** Choose a tab of the cart's view. */
  async tab(name) {
    await this.page.getByRole("tab", { name: new RegExp(`^${name}`) }).click();
  }

  /** Find a product by typing. */
  async find(product) {
    await this.page.getByRole("searchbox", { name: "Find products" }).fill(product);
    await this.page.locator(".product", { hasText: product }).waitFor();
  }

  /** Find a product, and add some of it. */
  async add(product, pieces = 1) {
    await this.find(product);
    const row = this.page.locator(".product", { hasText: product });
    await row.getByLabel(`Quantity of ${product}`).fill(String(pieces));
    await row.getByRole("button", { name: `Add ${product}` }).click();
  }

  line(product) {
    return this.page.locator(".line", { hasText: product });
  }

  quantity(product) {
    return this.line(product).locator(".stepper .qty");
  }

  /**
   * Their page has shown a message with this text, or does; each message is heard once. All that it
   * said comes back. `kind` is info or error.
   */
  hears(text, kind = "info") {
    return this.#hear(text, ({ place, kinds, seen }) => place === "toasts" && seen && kinds.includes(kind));
  }

  /** Who can't see the messages hears this; `place`: the page's region for it. */
  isTold(text, place = "announce-polite") {
    return this.#hear(text, (told) => told.place === place);
  }

  #hear(text, isMeant) {
    return eventually(() => {
      const at = this.told.findIndex((told) => isMeant(told) && told.text.includes(text));
      assert.ok(at >= 0, `${this.name} hears “${text}”, not only ${JSON.stringify(this.told)}`);
      return this.told.splice(at, 1)[0].text;
    });
  }

  /** What their page would have done by now if its times weren't held, it does. */
  async passTime() {
    await this.page.evaluate(() => globalThis.passTime());
  }

  /** Where their page is, as it knows itself. */
  address() {
    return this.page.evaluate(() => location.href);
  }

  async seesQuantity(product, pieces) {
    await eventually(async () => {
      const seen = await this.quantity(product).inputValue();
      assert.equal(seen, String(pieces), `${this.name} sees ${seen} × ${product}`);
    });
  }

  async seesStatus(text) {
    await this.page.locator(".status", { hasText: text }).waitFor();
  }

  /** Everything is sent and confirmed. */
  async seesLive() {
    await this.page.locator(".status", { hasText: /^Live$/ }).waitFor();
  }

  /** Leave out problems that the test made; their number comes back. */
  forgive(pattern) {
    const before = this.problems.length;
    this.problems = this.problems.filter((text) => !pattern.test(text));
    return before - this.problems.length;
  }

  /** End the visit; anything that went wrong on the page fails the test. */
  async leave() {
    await this.context.close();
    assert.deepEqual(this.problems, [], `problems on the page of ${this.name}`);
  }
}

/**
 * A cart of the first of `people`, who have no accounts yet, shared with the others and open at
 * all of them; its id comes back.
 */
export async function meetInCart(name, people, role = "editor") {
  const [owner, ...others] = await Promise.all(people.map((person) => person.enrol()));
  const users = others.map(({ id }) => ({ user: id, role }));
  const cart = await owner.byLibrary(async (client) => {
    const { cart: made } = await client.createCart({ name });
    if (users.length) await client.room(made).op({ kind: "share", users });
    return made;
  });
  await Promise.all(
    people.map(async (person) => {
      await person.open(`/#/cart/${cart}`);
      await person.heading(name).waitFor();
      await person.seesLive();
    }),
  );
  return cart;
}
