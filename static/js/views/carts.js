/** My carts: open, make, rename, leave and delete them, and see who is in them. */

import { h, keyed, setText, uniqueId } from "../app/dom.js";
import { confirmed } from "../elements/dialogs.js";
import { define, Element } from "../elements/element.js";
import { errorCard } from "../elements/message-card.js";
import { say, tellError, tellWithAction } from "../elements/toasts.js";
import "../elements/cart-create.js";
import "../elements/cart-row.js";
import { changeMuted } from "../elements/muting.js";
import "../elements/own-id.js";

/** From so many on a list is worth a filter. */
const FILTER_FROM = 11;
const SKELETONS = 4;

const OFFLINE = "You are offline. This is how your carts were when you were last connected.";
const AWAY = "Not connected right now. This is how your carts were a while ago.";
const OFFLINE_EMPTY = "You are offline. Your carts will be here as soon as you are back.";

function counted(count, more) {
  return count === 1 && !more ? "1 cart" : `${count}${more ? "+" : ""} carts`;
}

class CartsView extends Element {
  app = null;
  desk = null;
  argument = null;
  #views = new Map();
  /** How many changes of a cart are on their way. */
  #waiting = new Map();
  #count;
  #filter;
  #filterBox;
  #told;
  #list;
  #empty;
  #failed;
  #more;

  build() {
    this.classList.add("carts-view");
    this.#count = h("span.count", {});
    this.#told = h("p.finder-status", { role: "status" });
    this.#list = h("ul.carts", { "aria-label": "My carts" });
    this.#more = h("button.more", { type: "button", onclick: () => this.#next() }, "More carts");
    this.#empty = this.#makeEmpty();
    this.#failed = h("div.card.failed", { role: "alert", hidden: true });
    this.append(
      h("div.view-head", {}, h("h1", { tabindex: "-1" }, "My carts"), this.#count),
      h(
        "section.card.new-cart",
        { "aria-labelledby": "new-cart" },
        h("h2", { id: "new-cart" }, "New cart"),
        h("cart-create", { app: this.app }),
      ),
      this.#makeFilter(),
      this.#told,
      this.#failed,
      this.#empty,
      this.#list,
      this.#more,
      this.#makeJoin(),
    );
  }

  connected() {
    const { carts, deletions, client } = this.app;
    const show = () => this.#show();
    this.follow(carts, "change", show);
    this.follow(deletions, "change", show);
    this.follow(client, "status", show);
    for (const name of ["online", "offline"]) this.follow(window, name, show);
    this.until(carts.watch());
    this.#show();
  }

  /** What is about to be deleted can still be kept, wherever one goes. */
  disconnected() {
    const { carts, deletions } = this.app;
    for (const { cart, name } of carts.rows) {
      if (!deletions.get(cart) || deletions.get(cart).sent) continue;
      const act = () => deletions.undo(cart);
      tellWithAction(`Deleted “${name}”.`, { label: "Undo", act });
    }
  }

  #makeFilter() {
    const id = uniqueId("filter");
    this.#filter = h("input", {
      id,
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "Name of a cart",
      oninput: () => this.#show(),
    });
    const label = h("label", { for: id }, "Filter by name");
    this.#filterBox = h("div.field.cart-filter", { hidden: true }, label, this.#filter);
    return this.#filterBox;
  }

  #makeEmpty() {
    return h(
      "div.card.empty",
      { hidden: true },
      h("h2", {}, "You have no carts yet"),
      h("p.muted", {}, "Give your first one a name above, then let others into it."),
      h("p", {}, h("a", { href: "#/products" }, "Look at the products first")),
    );
  }

  /** Made anew only for another reason: the button keeps its focus. */
  #showFailed({ message }) {
    if (this.#failed.dataset.shown === message) return;
    this.#failed.dataset.shown = message;
    const retry = () => this.app.carts.refresh();
    this.#failed.replaceChildren(errorCard("Your carts could not be loaded", message, retry));
  }

  #makeJoin() {
    return h(
      "details.join-cart",
      {},
      h("summary", {}, "Want to be in somebody else's cart?"),
      h(
        "div.card",
        {},
        h("p", {}, "Its owner can invite you by e-mail, or let you in by this id."),
        h("own-id", { user: this.app.user.id }),
      ),
    );
  }

  #next() {
    return this.app.carts.next();
  }

  #make({ cart, ...row }) {
    const { carts, deletions, user } = this.app;
    const element = h("cart-row", { row: { cart, ...row }, me: user.id });
    const name = () => carts.get(cart)?.name || "Unnamed cart";
    element.addEventListener("rename", ({ detail }) => this.#rename(cart, detail));
    element.addEventListener("mute", ({ detail }) =>
      changeMuted(carts, { cart, name: carts.get(cart)?.name }, detail),
    );
    element.addEventListener("leavecart", () => this.#leave(cart, name()));
    element.addEventListener("deletecart", () => {
      deletions.begin(cart, `“${name()}”`);
      say(`“${name()}” is deleted. Press Undo to keep it.`);
    });
    element.addEventListener("undo", () => {
      if (deletions.undo(cart)) say(`“${name()}” is kept.`);
    });
    const update = (fresh) => {
      element.row = fresh;
      element.going = deletions.get(cart) ?? null;
      element.waiting = this.#waiting.has(cart);
      element.update();
    };
    return { element: h("li", {}, element), update };
  }

  /** Do something with a cart that need not be open; a refusal is shown. */
  async #change(cart, op) {
    this.#wait(cart, 1);
    try {
      return await this.app.change(cart, op);
    } catch (error) {
      tellError(error);
      return null;
    } finally {
      this.#wait(cart, -1);
      this.#show();
    }
  }

  #wait(cart, by) {
    const count = (this.#waiting.get(cart) ?? 0) + by;
    if (count) this.#waiting.set(cart, count);
    else this.#waiting.delete(cart);
  }

  async #rename(cart, name) {
    const { carts } = this.app;
    const before = carts.get(cart)?.name;
    const done = this.#change(cart, { kind: "rename", name });
    carts.rename(cart, name);
    if (!(await done)) carts.rename(cart, before);
  }

  async #leave(cart, name) {
    const text = "You will no longer see this cart. What was added for you stays in it.";
    if (!(await confirmed(`Leave “${name}”?`, text, "Leave"))) return;
    if (!(await this.#change(cart, { kind: "unshare", user: this.app.user.id }))) return;
    this.#moveFocus(cart);
    this.app.carts.drop(cart);
    say(`You have left “${name}”.`);
  }

  /** A row goes: who was on it is led to the next one. */
  #moveFocus(cart) {
    const row = this.#views.get(cart)?.element;
    if (!row?.contains(document.activeElement)) return;
    const next = row.nextElementSibling ?? row.previousElementSibling;
    (next?.querySelector("a, button") ?? this.querySelector("h1")).focus();
  }

  #rows() {
    const { rows } = this.app.carts;
    const wanted = this.#filterBox.hidden ? "" : this.#filter.value.trim().toLowerCase();
    return wanted ? rows.filter(({ name }) => name.toLowerCase().includes(wanted)) : rows;
  }

  #show() {
    const { carts, client } = this.app;
    const { rows, status, more } = carts;
    const connected = client.status === "live" || client.status === "connecting";
    const loading = status === "loading" && navigator.onLine;
    this.#filterBox.hidden = rows.length < FILTER_FROM && !more;
    const listed = this.#rows();
    for (const cart of this.#views.keys()) {
      if (!listed.some((row) => row.cart === cart)) this.#moveFocus(cart);
    }
    keyed(
      this.#list,
      this.#views,
      loading ? Array.from({ length: SKELETONS }, (_, cart) => ({ cart })) : listed,
      ({ cart }) => cart,
      (row) => (row.name === undefined ? skeleton() : this.#make(row)),
    );
    this.#list.toggleAttribute("aria-busy", loading);
    setText(this.#count, rows.length ? counted(rows.length, more) : "");
    this.#empty.hidden = !(status === "ready" && carts.fresh && !rows.length);
    this.#failed.hidden = status !== "failed" || !navigator.onLine;
    if (status === "failed") this.#showFailed(carts.error);
    this.#more.hidden = !more;
    setText(this.#told, this.#news(rows, listed, loading, connected));
  }

  #news(rows, listed, loading, connected) {
    if (loading) return "Loading your carts…";
    if (!navigator.onLine) return rows.length ? OFFLINE : OFFLINE_EMPTY;
    if (!connected && rows.length) return AWAY;
    return rows.length && !listed.length ? "None of your carts is called so." : "";
  }
}

/** Where a cart will be. */
function skeleton() {
  return { element: h("li.cart-skeleton", { "aria-hidden": "true" }), update: () => {} };
}

define("carts-view", CartsView);
