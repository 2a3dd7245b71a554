/** My carts: open one, or make a new one. */

import { findProducts } from "../app/catalog.js";
import { h, keyed, setText } from "../app/dom.js";
import { field, form } from "../elements/forms.js";
import { currencyOptions } from "../elements/choices.js";
import "../elements/own-id.js";
import { ROLE_NAMES } from "../app/roles.js";
import { ago } from "../app/time.js";

const NAME_MAX = 200;
/** Not everything that changes the list is told us, so we ask as well. */
const REFRESH_MS = 10_000;
/** The most carts that the service tells at once. */
const FIRST_PAGE_MAX = 50;

function cartRow({ cart: id }) {
  const name = h("span.cart-name", {});
  const facts = h("span", {});
  const time = h("time", {});
  const link = h(
    "a.cart-link",
    { href: `#/cart/${id}` },
    name,
    h("span.cart-facts", {}, facts, time),
  );
  const update = (cart) => {
    const lines = cart.line_count === 1 ? "1 line" : `${cart.line_count} lines`;
    setText(name, cart.name || "Unnamed cart");
    setText(facts, `${lines} · ${ROLE_NAMES[cart.role] ?? cart.role} · `);
    setText(time, ago(cart.updated_at));
    time.dateTime = cart.updated_at;
  };
  return { element: h("li", {}, link), update };
}

/** Choose the currency that products are sold in, as a cart takes only those of its own. */
async function chooseCurrency(select, signal) {
  let touched = false;
  select.addEventListener("change", () => (touched = true));
  try {
    const page = await findProducts({ limit: 1 }, signal);
    const currency = page.items[0]?.price.currency;
    if (currency && !touched) select.value = currency;
  } catch (error) {
    // The first choice stays; people can change it.
    if (!signal.aborted) console.warn("The catalog's currency is not known", error);
  }
}

function createForm(app, signal) {
  const fields = {
    name: field("Name", {
      name: "cart-name",
      required: true,
      maxlength: String(NAME_MAX),
      autocomplete: "off",
      placeholder: "Summer party",
    }),
    currency: field(
      "Currency",
      { name: "currency" },
      { control: "select", options: currencyOptions() },
    ),
  };
  const { currency } = app.user;
  if (currency) fields.currency.input.value = currency;
  else chooseCurrency(fields.currency.input, signal);
  return form(fields, {
    label: "Create cart",
    send: async ({ name, currency }) => {
      const made = await app.client.createCart({ name: name.trim(), currency });
      location.hash = `#/cart/${made.cart}`;
    },
  });
}

/** The list: `{element, refresh}`. */
function cartList(app) {
  const views = new Map();
  const list = h("ul.carts", { "aria-label": "My carts" });
  const told = h("p.finder-status", { role: "status" }, "Loading your carts…");
  const more = h("button.more", { type: "button", hidden: true });
  let carts = [];
  let cursor;
  let failed = false;
  let loading = false;

  const show = () => {
    keyed(list, views, carts, (cart) => cart.cart, cartRow);
    more.hidden = !cursor && !failed;
    more.textContent = failed ? "Try again" : "More carts";
    if (!failed) {
      const none = "You have no carts yet. Create one, or ask to be let into one.";
      setText(told, carts.length ? "" : none);
    }
  };

  /** Take in a page: the first one replaces what was there before it, the others follow. */
  const load = async (next) => {
    if (loading) return;
    loading = true;
    try {
      const page = await app.client.listCarts(next);
      const fresh = new Set(page.carts.map(({ cart }) => cart));
      const kept = next ? carts.filter(({ cart }) => !fresh.has(cart)) : [];
      carts = [...kept, ...page.carts];
      cursor = page.cursor;
      failed = false;
    } catch (error) {
      failed = true;
      setText(told, error.message);
    } finally {
      loading = false;
    }
    show();
  };
  more.addEventListener("click", () => load(failed ? undefined : cursor));
  // Who has turned pages keeps them; otherwise the first page is made new.
  const refresh = () => (carts.length <= FIRST_PAGE_MAX ? load() : undefined);
  return { element: h("div", {}, told, list, more), refresh };
}

export function showCarts(root, app) {
  const abort = new AbortController();
  const carts = cartList(app);
  root.replaceChildren(
    h(
      "div.columns",
      {},
      h("section.card", {}, h("h1", { tabindex: "-1" }, "My carts"), carts.element),
      h(
        "div.stack",
        {},
        h("section.card", {}, h("h2", {}, "New cart"), createForm(app, abort.signal)),
        h(
          "section.card",
          {},
          h("h2", {}, "Join a cart"),
          h("p.muted", {}, "Its owner can invite you by mail. Or give them your id, so that they share it with you."),
          h("own-id", { user: app.user.id }),
        ),
      ),
    ),
  );
  // Anew whenever the connection is back or somebody looks: carts come and go elsewhere.
  const stops = [
    app.client.on("live", () => carts.refresh()),
    app.client.on("notification", () => carts.refresh()),
  ];
  const refresh = () => !document.hidden && app.client.status === "live" && carts.refresh();
  document.addEventListener("visibilitychange", refresh);
  const timer = setInterval(refresh, REFRESH_MS);
  refresh();
  return () => {
    abort.abort();
    stops.forEach((stop) => stop());
    clearInterval(timer);
    document.removeEventListener("visibilitychange", refresh);
  };
}
