/**
 * A service with the demo data and people in all the situations that views show: who looks at a
 * view is one of them. Nothing is clicked for it; it is made over REST and the library.
 */

import assert from "node:assert/strict";

import { DEADLINE_MS, Server } from "./server.mjs";
import { openBrowser, PASSWORD } from "./support.mjs";

const ACCOUNT = /^\s+(\S+@\S+)\s+password: (\S+)$/;
const CART = /#\/cart\/(\S+)$/;
const MANY_CARTS = 24;

export class World {
  /** The cart with lines, notes and members. */
  cart = "";
  /** An empty one, of `eve`. */
  emptyCart = "";
  /** Another one of hers, which may be deleted. */
  doomedCart = "";
  /** A product that there is. */
  sku = "";
  #server = new Server();
  #browser;
  #contexts = new Map();

  static async make() {
    const world = new World();
    world.#browser = await openBrowser();
    try {
      await world.#server.start("--demo");
      await world.#people();
      await world.#furnish();
    } catch (error) {
      await world.end(); // A browser that stays open keeps Node from its end.
      throw error;
    }
    return world;
  }

  async #people() {
    const { output } = this.#server;
    this.cart = output.map((line) => CART.exec(line)?.[1]).find(Boolean);
    const [ada, ben] = output.map((line) => ACCOUNT.exec(line)?.slice(1)).filter(Boolean);
    await Promise.all([
      this.#context("nobody"),
      this.#enter("ada", "login", { email: ada[0], password: ada[1] }),
      this.#enter("ben", "login", { email: ben[0], password: ben[1] }),
      this.#enter("guest", "guest", { name: "Gus" }),
      ...["una", "eve", "vera"].map((name) => this.#register(name)),
    ]);
  }

  get url() {
    return this.#server.url;
  }

  get browser() {
    return this.#browser;
  }

  async end() {
    await this.#browser.close();
    await this.#server.end();
  }

  /** A new page of somebody: `{page, problems}`, what goes wrong on it being collected. */
  async page(who) {
    const page = await this.#contexts.get(who).newPage();
    page.setDefaultTimeout(DEADLINE_MS);
    const problems = [];
    page.on("pageerror", (error) => problems.push(error.stack));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    return { page, problems };
  }

  async #context(who) {
    const context = await this.#browser.newContext({
      viewport: { width: 1280, height: 800 },
      locale: "en-GB",
      reducedMotion: "reduce", // Colours on their way are neither here nor there.
      serviceWorkers: "block", // Requests are held back and refused here.
    });
    context.setDefaultTimeout(DEADLINE_MS);
    await context.addInitScript(changeAtOnce);
    this.#contexts.set(who, context);
    return context;
  }

  /** Sign in, in a browser of their own; the user comes back. */
  async #enter(who, path, data) {
    const context = await this.#context(who);
    const answer = await context.request.post(`${this.url}/api/v1/auth/${path}`, {
      data: { ...data, session: "cookie" },
      headers: { Origin: this.url },
    });
    assert.ok(answer.ok(), `${who}: ${answer.status()}`);
    return (await answer.json()).user;
  }

  async #register(who) {
    const name = who[0].toUpperCase() + who.slice(1);
    const user = await this.#enter(who, "register", {
      ...{ name, email: `${who}@shop.example`, password: PASSWORD },
    });
    if (who === "vera") this.vera = user.id;
  }

  async #furnish() {
    const nobody = this.#contexts.get("nobody");
    const answer = await nobody.request.get(`${this.url}/api/v1/catalog/products?limit=12`);
    const { items } = await answer.json();
    const skus = items.filter(({ available }) => available !== 0).map(({ sku }) => sku);
    [this.sku] = skus;
    await this.#asThem("ada", fillCart, { cart: this.cart, viewer: this.vera, skus: skus.slice(0, 2) });
    await this.#asThem("ben", addTo, { cart: this.cart, skus: skus.slice(2, 5) });
    const carts = await this.#asThem("eve", makeCarts, MANY_CARTS);
    this.doomedCart = carts[0];
    this.emptyCart = carts.at(-1);
  }

  /** Run `act(client, given)` in a page of theirs; `client` is the library's, of nobody's page. */
  async #asThem(who, act, given) {
    const { page } = await this.page(who);
    await page.goto(`${this.url}/docs`);
    const source = `async (given) => {
      const { Cartroom, MemoryStore } = await import("/static/sdk/cartroom.js");
      const url = location.origin.replace("http", "ws") + "/ws";
      const timings = { reply_timeout_ms: ${DEADLINE_MS}, live_timeout_ms: ${DEADLINE_MS} };
      const client = new Cartroom({ url, token: () => null, store: new MemoryStore(), timings });
      client.start();
      try {
        return await (${act})(client, given);
      } finally {
        client.stop();
      }
    }`;
    const result = await page.evaluate(`(${source})(${JSON.stringify(given)})`);
    await page.close();
    return result;
  }
}

/**
 * Runs in the page, before its own: colours that change do so at once. With less motion it takes a
 * moment an element, and what takes its parent's colour begins once that is done: a frame a level.
 */
function changeAtOnce() {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("*, *::before, *::after { transition-property: none !important; }");
  document.adoptedStyleSheets = [sheet];
}

async function fillCart(client, { cart, viewer, skus }) {
  const room = client.room(cart);
  const items = skus.map((sku, at) => ({ sku, qty: at + 1 }));
  await room.op({ kind: "share", users: [{ user: viewer, role: "viewer" }] });
  const { results } = await room.op({ kind: "add", items });
  await room.op({ kind: "note", text: "We meet at the station on Friday at five." });
  await room.op({ kind: "note", line: results[0].line, text: "The blue one, if there is" });
  await room.op({ kind: "save_for_later", line: results[1].line });
}

async function addTo(client, { cart, skus }) {
  const room = client.room(cart);
  await room.op({ kind: "add", items: skus.map((sku, at) => ({ sku, qty: 2 * at + 1 })) });
}

async function makeCarts(client, count) {
  const carts = [];
  for (let n = 1; n <= count; n += 1) {
    const { cart } = await client.createCart({ name: `Party of week ${n}`, currency: "EUR" });
    carts.push(cart);
  }
  return carts;
}
