/**
 * The one list of the page's views and their states: axe-core and the screenshots go through it,
 * and a route that isn't in it fails a test.
 *
 * An entry is `{view, state, who, path, shows}`: the view's tag, one of the people of world.mjs,
 * the address, and what is there once the state is reached. `prepare(page)` comes before the page
 * is loaded, `reach(page, world)` after it. `path` may be a function of the world. `forgives` is
 * what the browser says of requests that fail on purpose; `without` are rules of axe-core that
 * don't hold there.
 */

import assert from "node:assert/strict";

import { eventually, PASSWORD, stored } from "./support.mjs";

const FAILED = /Failed to load resource/;
const CUT_OFF = /ERR_INTERNET_DISCONNECTED/;
const FAILED_OR_CUT_OFF = RegExp(`${FAILED.source}|${CUT_OFF.source}`);
const API = "**/api/v1";
const NO_CART = "crt_000000000000000000000000";

/** Requests to `path` never get an answer. */
const held = (path) => (page) => page.route(`${API}/${path}`, () => {});
/** Requests to `path` break off. */
const broken = (path) => (page) => page.route(`${API}/${path}`, (route) => route.abort());
/** Requests to `path` are answered with a problem. */
const refused = (path, status, problem) => (page) =>
  page.route(`${API}/${path}`, (route) =>
    route.fulfill({
      status,
      contentType: "application/problem+json",
      body: JSON.stringify({ status, ...problem }),
    }),
  );
/** The socket opens, and nothing comes. */
const silent = (page) => page.routeWebSocket(/\/ws$/, () => {});
/** The socket opens, and is closed at once, as by a service that starts anew. */
const away = (page) => page.routeWebSocket(/\/ws$/, (socket) => socket.close({ code: 1012 }));

const press = (name) => (page) => page.getByRole("button", { name, exact: true }).click();
const offline = async (page) => {
  await page.locator(".status[data-kind='live']").waitFor();
  await page.context().setOffline(true);
};
const tab = (name) => (page) => page.getByRole("tab", { name: new RegExp(`^${name}`) }).click();

async function signInWrong(page) {
  await page.getByLabel("E-mail").fill("ada@cartroom.example");
  await page.getByLabel("Password", { exact: true }).fill("not this one");
  await page.locator("#sign-in button[type=submit]").click();
}

async function search(page, text) {
  await page.getByRole("searchbox", { name: "Find products" }).fill(text);
}

/** Views of who isn't signed in. */
function nobody(view, state, path, shows, more = {}) {
  return { view, state, who: "nobody", path, shows, ...more };
}

const SHOP = [
  nobody("home-view", "signed out", "/", "home-view product-card"),
  { view: "home-view", state: "with carts", who: "ada", path: "/", shows: "cart-card" },
  { view: "home-view", state: "new here", who: "una", path: "/", shows: "product-card" },
  nobody("home-view", "loading", "/", "home-view h1", { prepare: held("catalog/**") }),
  nobody("home-view", "failed", "/", "home-view h1", { prepare: broken("catalog/**"), forgives: FAILED }),
  nobody("products-view", "signed out", "/#/products", "product-card"),
  { view: "products-view", state: "with a cart", who: "ada", path: "/#/products", shows: "product-card" },
  nobody("products-view", "loading", "/#/products", "products-view h1", { prepare: held("catalog/**") }),
  nobody("products-view", "nothing found", "/#/products", "text=/Nothing found/", {
    reach: (page) => search(page, "a unicorn"),
  }),
  nobody("products-view", "failed", "/#/products", "role=button[name='Try again']", {
    prepare: broken("catalog/**"),
    forgives: FAILED,
  }),
  nobody("product-view", "signed out", ({ sku }) => `/#/product/${sku}`, ".product-about h1"),
  {
    ...{ view: "product-view", state: "with a cart", who: "ada" },
    path: ({ sku }) => `/#/product/${sku}`,
    shows: "product-buy",
  },
  nobody("product-view", "not found", "/#/product/NOTHING", "text=There is no such product", {
    forgives: FAILED,
  }),
  nobody("product-view", "loading", "/#/product/MUG", "product-view h1", { prepare: held("catalog/**") }),
  nobody("product-view", "failed", "/#/product/MUG", "role=button[name='Try again']", {
    prepare: broken("catalog/**"),
    forgives: FAILED,
  }),
];

/** The service can't answer messages of this type. */
const unanswered = (wanted) => (page) =>
  page.routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const { id, type } = JSON.parse(text);
      if (type !== wanted) return server.send(text);
      const error = { code: "unavailable", message: "Not available right now.", temporary: true };
      return socket.send(JSON.stringify({ id, type: "error", ...error }));
    });
  });

const CARTS = [
  { view: "carts-view", state: "some", who: "ada", path: "/#/carts", shows: "cart-row" },
  { view: "carts-view", state: "none", who: "una", path: "/#/carts", shows: "carts-view h1" },
  { view: "carts-view", state: "many", who: "eve", path: "/#/carts", shows: "cart-row" },
  {
    ...{ view: "carts-view", state: "loading", who: "vera", path: "/#/carts", shows: "carts-view h1" },
    prepare: silent,
  },
  {
    ...{ view: "carts-view", state: "failed", who: "una", path: "/#/carts", shows: ".failed:visible" },
    prepare: unanswered("cart.list"),
  },
  {
    ...{ view: "carts-view", state: "renaming and deleting", who: "eve", path: "/#/carts" },
    shows: ".cart-going:visible",
    reach: async (page) => {
      await page.getByRole("button", { name: /^Rename Party/ }).first().click();
      await page.getByRole("button", { name: /^Delete Party/ }).nth(2).click();
    },
  },
  {
    ...{ view: "carts-view", state: "offline", who: "ada", path: "/#/carts" },
    shows: ".status[data-kind='off']",
    forgives: CUT_OFF,
    reach: async (page) => {
      await page.locator("cart-row").first().waitFor();
      await offline(page);
    },
  },
];

const HOUR_MS = 3_600_000;
const NAMES = ["Apricot jam", "Linen towel", "Stoneware mug", "Paper lamp"];

/** What the service tells of the inbox of `ada`: `count` of its newest ones, all kinds of them. */
function notificationsOf(count) {
  const kinds = [
    { kind: "changes", count: 4, kinds: { add: 3, remove: 1 } },
    { kind: "shared", count: 1, kinds: { share: 1 } },
    { kind: "changes", count: 1, kinds: { add: 1 } },
    { kind: "changes", count: 12, kinds: { change_quantity: 9, note: 2, rename: 1 } },
    { kind: "removed", count: 1, kinds: { unshare: 1 } },
    { kind: "changes", count: 2, kinds: { save_for_later: 2 } },
    { kind: "deleted", count: 1, kinds: { delete: 1 } },
  ];
  const people = ["Ben Okri", "Cleo", null];
  const carts = ["Summer party", "Everything that we need for the long weekend in the mountains"];
  const noon = new Date().setHours(12, 0, 0, 0);
  return Array.from({ length: count }, (_, index) => {
    const at = new Date(noon - 7 * index * HOUR_MS).toISOString();
    const { kinds: done, ...told } = kinds[index % kinds.length];
    const lines = NAMES.slice(0, done.add ?? 0).map((name, n) => ({ line: `l${n}`, sku: name, name, qty: n + 1 }));
    return {
      ...{ id: `ntf_${index}`, ...told, kinds: done, lines, cart: NO_CART },
      ...{ cart_name: carts[index % 2], by: { user: `usr_${index % 3}`, name: people[index % 3] } },
      ...{ first_rev: index, last_rev: index, at, opened_at: at, read: index > 3 },
    };
  });
}

/** The service has these notifications, and `more` says whether there are further ones. */
const inboxOf = (count, more = false) => (page) =>
  page.routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const { id, type } = JSON.parse(text);
      if (type !== "notifications.list") return server.send(text);
      const notifications = notificationsOf(count);
      const unread = notifications.filter(({ read }) => !read).length;
      const cursor = more ? { cursor: "more" } : {};
      return socket.send(JSON.stringify({ id, type: "ok", notifications, unread, version: 1, ...cursor }));
    });
  });

/** The browser has kept the inbox; then the page opens anew, and finds neither service nor network. */
async function openKept(page) {
  await page.locator("inbox-entry").first().waitFor(); // Its storage is there by then.
  await eventually(async () => {
    assert.ok((await stored(page, "meta")).some(({ notifications }) => notifications?.length));
  });
  await broken("auth/session")(page);
  await away(page);
  await page.reload();
  await page.locator("inbox-entry").first().waitFor();
  await page.context().setOffline(true);
}

function inbox(state, shows, more = {}) {
  return { view: "inbox-view", state, who: "ada", path: "/#/inbox", shows, ...more };
}

const INBOX = [
  inbox("some", "inbox-entry", { prepare: inboxOf(7) }),
  inbox("many", ".bell-count:visible", { prepare: inboxOf(30, true), reach: (page) => page.locator("button.more:visible").waitFor() }),
  inbox("none", "message-card", { prepare: inboxOf(0) }),
  inbox("loading", "inbox-view loading-card", { prepare: silent }),
  inbox("failed", "message-card[data-kind=error]", { prepare: unanswered("notifications.list") }),
  inbox("of a guest", "message-card", { who: "guest", prepare: inboxOf(0) }),
  inbox("offline", "inbox-view .finder-status:not(:empty)", {
    prepare: inboxOf(7),
    forgives: CUT_OFF,
    reach: async (page) => {
      await page.locator("inbox-entry").first().waitFor();
      await offline(page);
    },
  }),
  inbox("kept offline", "text=/^You are offline. This is what was here (at|on) /", {
    who: "ben",
    prepare: inboxOf(7),
    forgives: FAILED_OR_CUT_OFF,
    reach: openKept,
  }),
];

const LINES = "cart-line .line-total";
const open = ({ cart }) => `/#/cart/${cart}`;
const ofEve = ({ emptyCart }) => `/#/cart/${emptyCart}`;

/** On a phone the cart's name is on the cart's own tab alone. */
const WITHOUT_NAME = ["page-has-heading-one"];

function cart(state, who, more = {}) {
  return { view: "cart-view", state, who, path: open, shows: LINES, without: WITHOUT_NAME, ...more };
}

const CART = [
  // Of a cart that this browser hasn't kept yet.
  cart("loading", "eve", { path: ofEve, prepare: silent, shows: ".loading h1" }),
  cart("full", "ada"),
  cart("not connected", "eve", { path: ofEve, prepare: away, shows: ".unreached h1" }),
  cart("empty", "eve", { path: ofEve, shows: ".empty" }),
  cart("viewer", "vera"),
  cart("not found", "ada", { path: `/#/cart/${NO_CART}`, shows: "main h1:has-text('no such cart')" }),
  cart("offline", "ada", {
    shows: ".status[data-kind='off']",
    forgives: CUT_OFF,
    reach: async (page) => {
      await page.locator(LINES).first().waitFor();
      await offline(page);
      await page.getByRole("button", { name: /more$/ }).first().click();
    },
  }),
  cart("being written on", "ada", {
    shows: ".note-form:visible",
    reach: async (page) => {
      await page.locator(LINES).first().waitFor();
      await press("Rename the cart")(page);
      await press("Edit note")(page);
    },
  }),
  cart("deleted", "eve", {
    path: ({ doomedCart }) => `/#/cart/${doomedCart}`,
    shows: ".gone h1",
    reach: async (page) => {
      await press("Delete cart")(page);
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    },
  }),
  cart("people", "ada", { reach: tab("People"), shows: "[role=tabpanel]:not([hidden]) li" }),
  cart("history", "ada", { reach: tab("History"), shows: "[role=tabpanel]:not([hidden]) li" }),
  cart("share", "ada", { reach: press("Share"), shows: "dialog[open]" }),
  cart("share, address not confirmed", "eve", {
    path: ofEve,
    reach: press("Share"),
    shows: "dialog[open]",
  }),
];

const ENTRY = [
  nobody("sign-in-view", "form", "/#/signin", "#sign-in"),
  nobody("sign-in-view", "asked for", "/#/carts", "#sign-in"),
  nobody("sign-in-view", "invited", "/#/invitation/abcdefgh", "#sign-in .notice, .notice"),
  nobody("sign-in-view", "incomplete", "/#/signin", ".field-error:not(:empty)", {
    reach: (page) => page.locator("#sign-in button[type=submit]").click(),
  }),
  nobody("sign-in-view", "refused", "/#/signin", ".form-error:not(:empty)", {
    reach: signInWrong,
    forgives: FAILED,
  }),
  nobody("sign-in-view", "busy", "/#/signin", "form[aria-busy]", {
    prepare: held("auth/login"),
    reach: signInWrong,
  }),
  nobody("sign-in-view", "to wait", "/#/signin", ".form-error:not(:empty)", {
    prepare: refused("auth/login", 429, {
      ...{ code: "rate_limited", detail: "Too many attempts", retry_after_s: 90 },
    }),
    reach: signInWrong,
    forgives: FAILED,
  }),
  nobody("register-view", "form", "/#/register", "#register"),
  { view: "register-view", state: "of a guest", who: "guest", path: "/#/register", shows: "#register" },
  nobody("register-view", "refused", "/#/register", ".field-error:not(:empty)", {
    reach: async (page) => {
      await page.getByLabel("Name").fill("Ada");
      await page.getByLabel("E-mail").fill("ada@cartroom.example");
      await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
      await page.locator("#register button[type=submit]").click();
    },
    forgives: FAILED,
  }),
  nobody("guest-view", "form", "/#/guest", "#guest"),
  nobody("forgot-view", "form", "/#/reset", "#forgot"),
  nobody("forgot-view", "sent", "/#/reset", "message-card", {
    prepare: (page) => page.route(`${API}/auth/reset`, (route) => route.fulfill({ status: 204 })),
    reach: async (page) => {
      await page.getByLabel("E-mail").fill("ada@cartroom.example");
      await page.locator("#forgot button[type=submit]").click();
    },
  }),
  nobody("reset-view", "form", "/#/reset/abcdefgh", "#reset"),
  nobody("reset-view", "used up", "/#/reset/abcdefgh", "message-card", {
    reach: async (page) => {
      await page.getByLabel("New password").fill(PASSWORD);
      await page.locator("#reset button[type=submit]").click();
    },
    forgives: FAILED,
  }),
  nobody("confirm-view", "used up", "/#/confirm/abcdefgh", "message-card", { forgives: FAILED }),
  {
    ...{ view: "confirm-view", state: "used up, to send again", who: "una" },
    ...{ path: "/#/confirm/abcdefgh", shows: "message-card resend-mail", forgives: FAILED },
  },
  nobody("confirm-view", "under way", "/#/confirm/abcdefgh", "confirm-view loading-card", {
    prepare: held("auth/confirm"),
  }),
  nobody("confirm-view", "done", "/#/confirm/abcdefgh", "message-card[data-kind=done]", {
    prepare: (page) => page.route(`${API}/auth/confirm`, (route) => route.fulfill({ status: 204 })),
  }),
  nobody("confirm-view", "failed", "/#/confirm/abcdefgh", "message-card[data-kind=error]", {
    prepare: broken("auth/confirm"),
    forgives: FAILED,
  }),
];

const submit = (page) => page.locator("#unsubscribe button").click();

/** What a mailed link that ends mails leads to; the service answers so. */
function unsubscribing(state, shows, { what = "changes", status = 200, reach = submit } = {}) {
  const body = status === 200 ? { ended: what, cart: null } : { status, code: "bad_request" };
  return nobody("unsubscribe-view", state, `/#/unsubscribe/usr_1.${what}.abcdefgh`, shows, {
    prepare: (page) =>
      page.route(`${API}/auth/unsubscribe`, (route) =>
        route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) }),
      ),
    reach,
    forgives: FAILED,
  });
}

const untouched = { reach: () => {} };

const UNSUBSCRIBING = [
  unsubscribing("of changes", "#unsubscribe", untouched),
  unsubscribing("of being let in", "#unsubscribe", { ...untouched, what: "shared" }),
  unsubscribing("of a cart", "#unsubscribe", { ...untouched, what: NO_CART }),
  unsubscribing("done", "message-card[data-kind=done]"),
  unsubscribing("not whole", "message-card[data-kind=error]", { status: 400 }),
  unsubscribing("failed", ".form-error:not(:empty)", { status: 503 }),
];

const INVITATION = "/#/invitation/abcdefgh";

const INVITATIONS = [
  ["of a guest", "guest", "message-card"],
  ["address not confirmed", "una", "message-card resend-mail"],
  ["can't be opened", "ada", "message-card[data-kind=error]"],
].map(([state, who, shows]) => ({ view: "invitation-view", state, who, path: INVITATION, shows }));

/** Views of one's own account. */
function account(view, state, path, shows, more = {}) {
  return { view, state, who: "ada", path, shows, ...more };
}

const ACCOUNT = [
  account("profile-view", "confirmed", "/#/account", "#profile"),
  account("profile-view", "not confirmed", "/#/account", "#profile", { who: "una" }),
  account("mails-view", "once a day", "/#/account/mails", "#digest_at:visible"),
  account("mails-view", "soon, with quiet hours", "/#/account/mails", "#from:visible", {
    reach: async (page) => {
      await page.getByLabel("Soon after they happen").check();
      await page.getByLabel("Keep quiet at night").check();
    },
  }),
  account("mails-view", "not confirmed", "/#/account/mails", "#mails", { who: "una" }),
  account("mails-view", "refused", "/#/account/mails", ".field-error:not(:empty)", {
    reach: async (page) => {
      await page.getByLabel("At what time of day").fill("");
      await page.locator("#mails button[type=submit]").click();
    },
  }),
  account("profile-view", "of a guest", "/#/account", "#profile", { who: "guest" }),
  account("password-view", "form", "/#/account/password", "#change-password"),
  account("password-view", "refused", "/#/account/password", ".field-error:not(:empty)", {
    reach: async (page) => {
      await page.getByLabel("Current password").fill("not this one");
      await page.getByLabel("New password").fill("short");
      await page.locator("#change-password button[type=submit]").click();
    },
  }),
  account("devices-view", "some", "/#/devices", ".device"),
  account("devices-view", "loading", "/#/devices", "devices-view loading-card", { prepare: held("auth/devices") }),
  account("devices-view", "failed", "/#/devices", "message-card", {
    prepare: broken("auth/devices"),
    forgives: FAILED,
  }),
  account("data-view", "form", "/#/account/data", "#delete-account"),
  account("data-view", "asked whether to delete", "/#/account/data", "dialog[open]", {
    reach: async (page) => {
      await page.getByLabel("Your password").fill(PASSWORD);
      await page.locator("#delete-account button[type=submit]").click();
    },
  }),
];

/** What is around every view, and stands in for it. */
const FRAME = [
  account("page", "account menu", "/#/account", ".account-panel:popover-open", {
    reach: (page) => page.getByRole("button", { name: /^Your account/ }).click(),
  }),
  account("page", "message with a way to see more", "/#/account", ".toast", {
    reach: async (page) => {
      await page.getByLabel("Name").fill("Ada");
      await page.locator("#profile button[type=submit]").click();
    },
  }),
  nobody("page", "connecting", "/#/signin", "loading-card", { prepare: held("auth/session") }),
  nobody("page", "not connected", "/#/signin", "message-card[data-kind=wait]", {
    prepare: broken("auth/session"),
    forgives: FAILED,
  }),
  nobody("styleguide", "all", "/styleguide", "main:not([aria-busy]) #cart-history .example", {
    // Elements are shown out of their places there.
    without: ["landmark-unique", "heading-order", "duplicate-id", "landmark-no-duplicate-main"],
  }),
];

export const VIEWS = [
  ...[...SHOP, ...CARTS, ...CART, ...INBOX],
  ...[...ENTRY, ...UNSUBSCRIBING, ...INVITATIONS, ...ACCOUNT, ...FRAME],
];

/** A name for files and messages. */
export function nameOf({ view, state }) {
  return `${view.replace(/-view$/, "")} ${state}`.replace(/[^a-z]+/gi, "-").toLowerCase();
}

/**
 * Whatever moves or fades has come to its end, and is drawn so. An element whose colour is its
 * parent's begins to change once the parent's has, which takes as many rounds as the tree is deep.
 */
export function stillness(page) {
  return page.evaluate(async () => {
    const drawn = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const ends = (one) => one.effect.getTiming().iterations !== Infinity;
    // One that is over may go on having its effect.
    const moving = () => document.getAnimations().filter((one) => one.playState === "running" && ends(one));
    for (let calm = 0; calm < 2; calm += 1) {
      await drawn();
      for (let some = moving(); some.length; some = moving()) {
        calm = 0;
        await Promise.all(some.map((one) => one.finished.catch(() => {}))); // It was taken away meanwhile.
      }
    }
    await drawn();
  });
}

/**
 * Bring `entry` about in a new page of `size`, and call `look(page)`; what went wrong on the page
 * comes back, without what the entry forgives.
 */
export async function show(world, entry, size, look) {
  const { page, problems } = await world.page(entry.who);
  const path = typeof entry.path === "function" ? entry.path(world) : entry.path;
  try {
    await page.setViewportSize(size);
    await entry.prepare?.(page);
    await page.goto(world.url + path);
    await entry.reach?.(page, world);
    await page.locator(entry.shows).first().waitFor();
    await stillness(page);
    await look(page);
  } finally {
    await page.context().setOffline(false);
    await page.close();
  }
  return problems.filter((text) => !entry.forgives?.test(text));
}

/** Call `act(entry, index)` for all entries: people side by side, each one's after each other. */
export async function everyView(act) {
  const byPerson = new Map();
  for (const entry of VIEWS) byPerson.set(entry.who, [...(byPerson.get(entry.who) ?? []), entry]);
  await Promise.all(
    [...byPerson.values()].map(async (entries) => {
      for (const entry of entries) await act(entry, VIEWS.indexOf(entry));
    }),
  );
}
