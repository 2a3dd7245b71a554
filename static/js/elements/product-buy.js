/** Putting a product into a cart: into which one, for whom, how many. */

import { h, setText, uniqueId } from "../app/dom.js";
import { takeWanted, keepWanted } from "../app/wanted.js";
import { piecesBySku } from "../app/pieces.js";
import { define, Element } from "./element.js";
import { offerMembers } from "./member-choice.js";
import { tellError, tellWithLink } from "./toasts.js";
import "./cart-chooser.js";
import { allowedQty } from "./quantity-stepper.js";

const NAME_MAX = "200";

/**
 * `<product-buy>` of a `product`, for an `app`; without one, the ways to come in, which lead back
 * here.
 */
export class ProductBuy extends Element {
  app = null;
  #product = null;
  #room = null;
  #unfollow = () => {};
  #busy = false;
  #parts = null;

  get product() {
    return this.#product;
  }

  set product(product) {
    this.#product = product;
    if (this.#parts) this.#show();
  }

  build() {
    this.classList.add("card", "buy");
    const qty = h("quantity-stepper", { label: this.#product.title || this.#product.name });
    qty.value = takeWanted(this.#product.sku) ?? 1;
    qty.addEventListener("step", ({ detail }) => this.#choose(qty.value + detail));
    qty.addEventListener("set", ({ detail }) => this.#choose(detail));
    this.#parts = { qty };
    if (this.app) this.#buildForm();
    else this.#buildEntry();
    this.#show();
  }

  connected() {
    this.until(() => this.#unfollow());
  }

  #choose(value) {
    this.#parts.qty.value = allowedQty(value);
  }

  #buildEntry() {
    const { qty } = this.#parts;
    const keep = () => keepWanted(this.#product.sku, qty.value);
    const way = (selector, href, label) => h(selector, { href, onclick: keep }, label);
    this.append(
      h("div.buy-row", {}, h("span.label", {}, "How many"), qty),
      h("p", {}, "To put it into a cart, come in; you will be back here then."),
      h(
        "div.buy-ways",
        {},
        way("a.button.primary", "#/guest", "Continue as guest"),
        way("a.button", "#/signin", "Sign in"),
        way("a.quiet-link", "#/register", "Create an account"),
      ),
    );
  }

  #buildForm() {
    const { currency } = this.#product.price;
    const chooser = h("cart-chooser", { app: this.app, currency, creates: true, label: "Cart" });
    chooser.addEventListener("choose", ({ detail }) => this.#open(detail));
    const nameId = uniqueId("buy");
    const name = h("input", { id: nameId, maxlength: NAME_MAX, autocomplete: "off", value: "My cart" });
    const fresh = h("div.buy-field", {}, h("label", { for: nameId }, "Name of the new cart"), name);
    const forId = uniqueId("buy");
    const whom = h("select", { id: forId });
    const forWhom = h("div.buy-field", { hidden: true }, h("label", { for: forId }, "For"), whom);
    const add = h("button.primary", { type: "submit" }, "Add to cart");
    const told = h("p.told", { role: "status" });
    const onsubmit = (event) => {
      event.preventDefault();
      this.#add();
    };
    Object.assign(this.#parts, { chooser, name, fresh, whom, forWhom, add, told });
    this.append(
      h(
        "form",
        { onsubmit, "aria-label": "Add to a cart" },
        chooser,
        fresh,
        forWhom,
        h("div.buy-row", {}, this.#parts.qty, add),
        told,
      ),
    );
  }

  /** Follow the cart that is chosen; null: a new one. */
  #open(cart) {
    this.#unfollow();
    this.#room = cart ? this.app.open(cart) : null;
    const stop = this.#room?.on("change", () => this.#show());
    this.#unfollow = () => stop?.();
    this.#show();
  }

  #show() {
    const { add, told, fresh, forWhom, whom } = this.#parts;
    if (!this.app) return;
    const { available, sku } = this.#product;
    const state = this.#room?.closed ? null : this.#room?.state;
    fresh.hidden = Boolean(this.#room);
    offerMembers(whom, state?.members ?? [], this.app.user.id);
    forWhom.hidden = (state?.members.length ?? 0) < 2;
    const none = available === 0;
    add.setAttribute("aria-disabled", String(none || this.#busy));
    setText(add, none ? "Sold out" : this.#busy ? "Adding…" : "Add to cart");
    const count = piecesBySku(state).get(sku) ?? 0;
    const shown = count ? `${count} in “${state.name}” now. ` : "";
    if (told.dataset.shown === shown) return;
    told.dataset.shown = shown;
    told.replaceChildren(
      ...(count ? [shown, h("a", { href: `#/cart/${this.#room.cart}` }, "Open the cart")] : []),
    );
  }

  async #add() {
    const { add, qty, whom } = this.#parts;
    if (add.getAttribute("aria-disabled") === "true") return;
    this.#busy = true;
    this.#show();
    try {
      if (!this.#room) await this.#create();
      const product = this.#product;
      const item = { sku: product.sku, qty: qty.value, ...(whom.value ? { for: whom.value } : {}) };
      const op = { kind: "add", items: [item] };
      const room = this.#room;
      const ok = await this.app.act(op, [product]);
      if (ok) this.#added(item, product, room);
    } catch (error) {
      tellError(error);
    } finally {
      this.#busy = false;
      this.#show();
    }
  }

  #added({ qty }, { name }, room) {
    this.#parts.qty.value = 1;
    tellWithLink(`${qty} × ${name} went into “${room.state?.name ?? "your cart"}”.`, {
      href: `#/cart/${room.cart}`,
      label: "Open the cart",
    });
  }

  async #create() {
    const { name, chooser } = this.#parts;
    const { currency } = this.#product.price;
    const { cart } = await this.app.client.createCart({ name: name.value.trim() || "My cart", currency });
    this.#open(cart);
    await this.app.carts.refresh();
    chooser.choose(cart);
  }
}

define("product-buy", ProductBuy);
