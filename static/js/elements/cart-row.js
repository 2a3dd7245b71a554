/** A cart in the list of one's carts: the way into it, its name changed in place, and the way out. */

import { companyOf } from "../app/describe.js";
import { h, icon, setText } from "../app/dom.js";
import { money } from "../app/money.js";
import { contentText } from "../app/pieces.js";
import { ROLE_NAMES } from "../app/roles.js";
import { ago } from "../app/time.js";
import { define, Element } from "./element.js";
import "./avatar-stack.js";

const NAME_MAX = 200;

/**
 * `<cart-row>` of a `row` of the list of carts, for the user `me`. `going` is `{sent}` where the
 * cart is about to be deleted, or null; `waiting`, that a change of it hasn't been confirmed. Tells
 * `rename` (detail: the name), `mute` (detail: whether), `leavecart`, `deletecart` and `undo`.
 */
export class CartRow extends Element {
  me = "";
  row = null;
  going = null;
  waiting = false;
  #view;
  #form;
  #gone;
  #parts;

  build() {
    this.classList.add("cart-row");
    this.#view = this.#makeView();
    this.#form = this.#makeForm();
    this.#gone = this.#makeGone();
    this.append(this.#view, this.#form, this.#gone);
    this.update();
  }

  #makeView() {
    const name = h("span.cart-name", {});
    const facts = h("span.cart-facts", {});
    const total = h("span.cart-total", {});
    const people = h("avatar-stack", {});
    const link = h("a.cart-link", { href: `#/cart/${this.row.cart}` }, name, facts);
    const rename = this.#action("note", () => this.#edit());
    const mute = this.#action("bell", () => this.tell("mute", !this.row.muted));
    const leave = this.#action("leave", () => this.tell("leavecart"));
    const remove = this.#action("remove", () => this.tell("deletecart"));
    this.#parts = { name, facts, total, people, link, rename, mute, leave, remove };
    return h(
      "div.cart-view",
      {},
      link,
      people,
      total,
      h("div.row-actions", {}, rename, mute, leave, remove),
    );
  }

  #action(name, onclick) {
    return h("button.icon-button", { type: "button", onclick }, icon(name));
  }

  #makeForm() {
    const input = h("input", { maxlength: String(NAME_MAX), required: true, autocomplete: "off" });
    this.#parts.input = input;
    return h(
      "form.cart-rename",
      {
        hidden: true,
        onsubmit: (event) => {
          event.preventDefault();
          const wanted = input.value.trim();
          if (wanted && wanted !== this.row.name) this.tell("rename", wanted);
          this.#close();
        },
        onkeydown: ({ key }) => key === "Escape" && this.#close(),
      },
      input,
      h("button.primary", { type: "submit" }, "Save"),
      h("button", { type: "button", onclick: () => this.#close() }, "Cancel"),
    );
  }

  #makeGone() {
    const told = h("p", {});
    const undo = h("button", { type: "button", onclick: () => this.tell("undo") }, "Undo");
    Object.assign(this.#parts, { told, undo });
    return h("div.cart-going", { hidden: true }, told, undo);
  }

  #edit() {
    const { input } = this.#parts;
    input.value = this.row.name;
    this.#view.hidden = true;
    this.#form.hidden = false;
    input.select();
  }

  #close() {
    this.#form.hidden = true;
    this.#view.hidden = false;
    this.#parts.rename.focus();
  }

  /** Draw what its properties say. */
  update() {
    if (!this.#parts) return;
    const { undo, remove, link, told } = this.#parts;
    const had = this.contains(document.activeElement);
    const went = Boolean(this.going);
    const changed = this.#gone.hidden === went;
    this.#gone.hidden = !went;
    this.#view.hidden = went || !this.#form.hidden;
    if (went) this.#form.hidden = true;
    setText(told, this.going?.sent ? `Deleting “${this.row.name}”…` : `Deleted “${this.row.name}”`);
    undo.hidden = Boolean(this.going?.sent);
    this.#draw();
    if (changed && had) (went ? undo : remove.hidden ? link : remove).focus();
  }

  #draw() {
    const { row, me } = this;
    const { name, facts, total, people, rename, mute, leave, remove, input } = this.#parts;
    const title = row.name || "Unnamed cart";
    setText(name, title);
    const texts = [
      h("span", {}, ROLE_NAMES[row.role] ?? row.role),
      h("span", {}, companyOf(row, me)),
      h("span", {}, contentText(row.pieces ?? row.line_count)),
      this.waiting
        ? h("span.waiting", {}, "saving…")
        : h("time", { datetime: row.updated_at }, ago(row.updated_at)),
      row.muted ? h("span.muted-mark", {}, "muted") : null,
    ].filter(Boolean);
    const shown = texts.map(({ textContent }) => textContent).join();
    if (facts.dataset.shown !== shown) {
      facts.dataset.shown = shown;
      facts.replaceChildren(...texts);
    }
    setText(total, row.total === undefined ? "" : money(row.total, row.currency));
    people.people = row.members ?? [];
    people.count = row.member_count ?? 1;
    rename.hidden = row.role === "viewer";
    leave.hidden = row.role === "owner";
    remove.hidden = row.role !== "owner";
    named(rename, `Rename ${title}`);
    const sign = row.muted ? "muted" : "bell";
    if (mute.dataset.sign !== sign) mute.replaceChildren(icon(sign));
    mute.dataset.sign = sign;
    named(mute, `${row.muted ? "Unmute" : "Mute"} ${title}`);
    named(leave, `Leave ${title}`);
    named(remove, `Delete ${title}`);
    input.setAttribute("aria-label", `New name of ${title}`);
  }
}

function named(button, text) {
  if (button.title === text) return;
  button.title = text;
  button.setAttribute("aria-label", text);
}

define("cart-row", CartRow);
