/** The list of one's carts: who is in them, and making, renaming, leaving and deleting them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrive, server } from "./shop.mjs";
import { eventually, SECONDS_MS } from "./support.mjs";

const MUG = "Stoneware mug";

function row(person, name) {
  return person.page.locator("cart-row", { hasText: name });
}

/** Between a page and the service: holds answers to `cart.list` back as long as it is told to. */
class HeldLists {
  isHolding = false;
  /** What was asked for: the cursor of each list, null for the first page. */
  asked = [];
  #held = [];

  static async of(page) {
    const lists = new HeldLists();
    await page.routeWebSocket(/\/ws$/, (socket) => lists.#connect(socket));
    return lists;
  }

  /** Answers that are held back. */
  get held() {
    return this.#held.length;
  }

  release() {
    this.isHolding = false;
    for (const send of this.#held.splice(0)) send();
  }

  #connect(socket) {
    const server = socket.connectToServer();
    const ids = new Set();
    socket.onMessage((text) => {
      const { id, type, cursor = null } = JSON.parse(text);
      if (type === "cart.list") {
        ids.add(id);
        this.asked.push(cursor);
      }
      server.send(text);
    });
    server.onMessage((text) => {
      const send = () => socket.send(text);
      if (this.isHolding && ids.has(JSON.parse(text).id)) this.#held.push(send);
      else send();
    });
  }
}

/** Make many carts, over a socket of their own: "Cart number 1" and so on, the last one named so. */
function makeCarts(person, count, last) {
  return person.page.evaluate(
    async ({ count, last }) => {
      // By the address that nobody stands between.
      const socket = new WebSocket(`ws://${location.host}/ws?`, ["cartroom.v1"]);
      await new Promise((resolve) => (socket.onopen = resolve));
      const send = (message) =>
        new Promise((resolve) => {
          socket.onmessage = ({ data }) => JSON.parse(data).id === message.id && resolve();
          socket.send(JSON.stringify(message));
        });
      await send({ id: 1, type: "hello", client: crypto.randomUUID() });
      for (let n = 1; n <= count; n += 1) {
        const name = n === count ? last : `Cart number ${n}`;
        await send({ id: 1 + n, type: "cart.create", name, currency: "EUR" });
      }
      socket.close();
    },
    { count, last },
  );
}

async function listsCarts(person, names) {
  const list = person.page.getByRole("list", { name: "My carts" });
  await eventually(async () => {
    const shown = await list.locator(".cart-name:visible").allInnerTexts();
    assert.deepEqual(shown.sort(), [...names].sort());
  });
}

test("the list tells who is in a cart and what it holds, and follows what others do", async () => {
  const ana = await (await arrive("Ana")).register();
  const ben = await (await arrive("Ben")).register();
  await ana.goTo("My carts");
  await ana.page.getByRole("heading", { name: "You have no carts yet" }).waitFor();
  await ana.createCart("Brunch");
  await ana.add(MUG, 2);
  await ana.seesQuantity(MUG, 2);
  await ana.goTo("My carts");
  await row(ana, "Brunch").getByText("only you").waitFor();
  await row(ana, "Brunch").getByText("2 pieces").waitFor();
  await row(ana, "Brunch").getByText("€25.80").waitFor();
  await ana.page.goBack();
  await ana.share(ben, "viewer");
  await ben.open("/#/carts");
  await row(ben, "Brunch").getByText("with Ana").waitFor();
  await row(ben, "Brunch").getByText("Viewer").waitFor();
  assert.equal(await row(ben, "Brunch").getByRole("button", { name: /Rename|Delete/ }).count(), 0);

  // An open cart's row follows it at once; from the first page it is one step away.
  await ana.open("/#/");
  const card = ana.page.locator("cart-card", { hasText: "Brunch" });
  await card.getByText("with Ben").waitFor();
  await card.getByRole("link").click();
  await ana.heading("Brunch").waitFor();
  await Promise.all([ana.leave(), ben.leave()]);
});

test("a cart is renamed in its row, by the keyboard, and left", async () => {
  const ana = await (await arrive("Ana")).register();
  const ben = await (await arrive("Ben")).register();
  await ana.createCart("Potluck");
  await ana.share(ben, "editor");
  await ben.openCart("Potluck");
  await ana.goTo("My carts");
  await ana.page.getByRole("button", { name: "Rename Potluck" }).press("Enter");
  const input = ana.page.getByLabel("New name of Potluck");
  await input.press("Escape");
  const rename = ana.page.getByRole("button", { name: "Rename Potluck" });
  await eventually(async () => assert.ok(await rename.evaluate((one) => one.matches(":focus"))));
  await rename.press("Enter");
  await input.fill("Street party");
  await input.press("Enter");
  await row(ana, "Street party").waitFor();
  await ben.heading("Street party").waitFor();

  await ben.goTo("My carts");
  await ben.page.getByRole("button", { name: "Leave Street party" }).click();
  await ben.page.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  await ben.page.getByRole("heading", { name: "You have no carts yet" }).waitFor();
  await ana.page.locator("cart-row").getByText("only you").waitFor();
  await Promise.all([ana.leave(), ben.leave()]);
});

test("a deleted cart can be kept for some seconds, and is gone after", async () => {
  const ana = await (await arrive("Ana", { held: SECONDS_MS })).register();
  const ben = await (await arrive("Ben")).register();
  await ana.createCart("Precious");
  await ana.share(ben, "editor");
  await ana.createCart("Old");
  await ben.openCart("Precious");
  await ana.goTo("My carts");
  await ana.page.getByRole("button", { name: "Delete Precious" }).press("Enter");
  const undo = row(ana, "Precious").getByRole("button", { name: "Undo" });
  await eventually(async () => assert.ok(await undo.evaluate((one) => one.matches(":focus"))));
  await undo.press("Enter");
  await row(ana, "Precious").getByRole("link").waitFor();
  await ana.page.getByRole("button", { name: "Delete Old" }).click();
  await listsCarts(ana, ["Precious"]);
  // Elsewhere on the page there is still time.
  await ana.goTo("Products");
  await ana.page.locator(".toast", { hasText: "Deleted “Old”" }).getByRole("button", { name: "Undo" }).click();
  await ana.goTo("My carts");
  await listsCarts(ana, ["Old", "Precious"]);

  // Nobody undoes it.
  await ana.page.getByRole("button", { name: "Delete Old" }).click();
  await row(ana, "Old").getByRole("button", { name: "Undo" }).waitFor();
  await ana.passTime();
  await row(ana, "Old").waitFor({ state: "detached" });
  await ana.page.reload();
  await listsCarts(ana, ["Precious"]);

  // Leaving the page means it.
  await ana.seesLive();
  await ana.page.getByRole("button", { name: "Delete Precious" }).click();
  const faces = ben.page.getByRole("group", { name: "Here now" });
  await faces.getByRole("img", { name: /^Ana/ }).waitFor(); // Her message will be taken in.
  await ana.page.goto("about:blank");
  await ben.heading("This cart was deleted").waitFor();
  await Promise.all([ana.leave(), ben.leave()]);
});

test("many carts are filtered by name, and come page by page", async () => {
  const ana = await (await arrive("Ana", { width: 360, height: 740 })).register();
  await ana.goTo("My carts");
  await makeCarts(ana, 60, `Last ${"W".repeat(190)}`);
  await ana.page.reload();
  await ana.page.getByText("50+ carts").waitFor();
  await ana.fits("many carts");
  await ana.page.getByRole("button", { name: "More carts" }).click();
  await ana.page.getByText("60 carts").waitFor();
  await ana.page.getByLabel("Filter by name").fill("number 17");
  await listsCarts(ana, ["Cart number 17"]);
  await ana.page.getByLabel("Filter by name").fill("nothing");
  await ana.page.getByText("None of your carts is called so.").waitFor();
  await ana.leave();
});

test("more carts are asked for while the list is being refreshed: they come once it is", async () => {
  const ana = await arrive("Ana");
  const lists = await HeldLists.of(ana.page);
  await ana.register();
  await ana.goTo("My carts");
  await makeCarts(ana, 60, "The last one");
  await ana.page.reload(); // What it heard of them while they were made is another beginning.
  await ana.page.getByText("50+ carts").waitFor();
  await row(ana, "The last one").waitFor();

  lists.isHolding = true;
  // As if the tab was looked at again: the list is asked for anew.
  await ana.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await eventually(async () => assert.equal(lists.held, 1));
  await ana.page.getByRole("button", { name: "More carts" }).click();
  assert.deepEqual(lists.asked.filter(Boolean), [], "one list at a time");
  lists.release();
  await ana.page.getByText("60 carts", { exact: true }).waitFor();
  await ana.page.getByRole("button", { name: "More carts" }).waitFor({ state: "hidden" });
  assert.equal(lists.asked.filter(Boolean).length, 1);
  await ana.leave();
});

test("a cart that is muted on one device is muted on the others, which needn't ask", async () => {
  const ben = await (await arrive("Ben")).register();
  const other = await ben.context.newPage();
  ben.watch(other);
  const lists = await HeldLists.of(other);
  await ben.createCart("Loud"); // From here on this tab shows the cart, and asks for no list.
  await ben.page.getByRole("button", { name: "Mute cart" }).waitFor();
  await other.goto(`${server.url}/#/carts`);
  const mute = other.getByRole("button", { name: "Mute Loud" });
  await mute.waitFor();
  await other.locator(".status", { hasText: /^Live$/ }).waitFor();
  lists.isHolding = true;

  await ben.page.getByRole("button", { name: "Mute cart" }).click();
  await other.locator(".muted-mark").waitFor();
  await other.getByRole("button", { name: "Unmute Loud" }).click();
  await mute.waitFor();
  await ben.page.getByRole("button", { name: "Mute cart" }).waitFor();
  await mute.click();
  await ben.page.getByRole("button", { name: "Unmute cart" }).waitFor();
  await ben.leave();
});

test("without a connection the carts are as they were, and say so", async () => {
  const ana = await (await arrive("Ana")).register();
  await ana.createCart("Kept");
  await ana.goTo("My carts");
  await row(ana, "Kept").waitFor();
  await ana.context.setOffline(true);
  await ana.page.getByText("You are offline. This is how your carts were").waitFor();
  await row(ana, "Kept").getByRole("link").waitFor();
  await ana.context.setOffline(false);
  await ana.seesLive();
  await ana.page.getByText("You are offline").waitFor({ state: "hidden" });
  ana.forgive(/ERR_INTERNET_DISCONNECTED/);
  await ana.leave();
});
