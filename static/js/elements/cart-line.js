/** One line of the cart: what, how many, for how much, its note, and what can be done with it. */

import { h, icon, setText } from "../app/dom.js";
import { money } from "../app/money.js";
import { countText } from "../app/pieces.js";
import { dialog } from "./dialogs.js";
import { define, Element } from "./element.js";
import "./note-editor.js";
import "./quantity-stepper.js";
import { avatar, hueOf } from "./user-avatar.js";

const LOOKERS_MAX = 3;
const TOUCHED_MS = 3_400;
/** Only then is it animated: what moves is a layer of its own, and a busy cart has many marks. */
const GOING_MS = 600;

function iconButton(name, label, act) {
  const props = { type: "button", "aria-label": label, title: label, onclick: act };
  return h("button.icon-button", props, icon(name));
}

function menuItem(name, label, act) {
  return h("button.menu-item", { type: "button", onclick: act }, icon(name), label);
}

/**
 * `<cart-line>` with the `desk` of its cart. `show` draws it; only what differs is touched. A
 * `saved` line waits beside the cart and doesn't count. Its controls are made when it comes near to
 * what is in sight (`dress`): hundreds of fields that nobody sees are a burden to browsers. Tells `leaving` before it goes by our own
 * doing, while the focus may still be on it.
 */
export class CartLine extends Element {
  desk;
  #shown = { line: null };
  #parts = null;
  #touch = null;
  #dressed = false;

  /** The line as it was drawn last. */
  get line() {
    return this.#shown.line;
  }

  get saved() {
    return this.#shown.saved;
  }

  build() {
    this.classList.add("line");
    this.setAttribute("role", "listitem");
    this.tabIndex = -1;
  }

  /** It comes near to what is in sight: from now on it has the controls to change it. */
  dress() {
    if (this.#dressed) return;
    this.#dressed = true;
    if (!this.#parts) return;
    this.#showControls();
    this.#makeActions();
  }

  /** `now` is `{line, saved, mayEdit, pending, lookers}`. */
  show(now) {
    const before = this.#shown;
    this.#shown = now;
    if (!this.#parts) this.#make();
    const differs = (name) => now[name] !== before[name];
    if (differs("line") || differs("saved") || differs("mayEdit")) this.#showLine(before);
    if (differs("pending")) this.#showPending();
    if (differs("lookers")) this.#drawLookers();
  }

  /** Who else is on it now. */
  showLookers(lookers) {
    if (!this.#parts || lookers === this.#shown.lookers) return;
    this.#shown = { ...this.#shown, lookers };
    this.#drawLookers();
  }

  /** Somebody else has just changed it: a soft light in their colour, and their name. */
  touched(user, name) {
    this.#endTouch();
    const glow = h(`div.line-glow.hue-${hueOf(user)}`, {});
    const here = this.#shown.lookers.some((each) => each.user === user);
    const face = here ? null : avatar(user, name);
    const mark = h("span.touched-by", { "aria-hidden": "true" }, face, name);
    this.append(glow);
    this.#parts.marks.append(mark);
    const timer = setTimeout(() => this.#fadeTouch(), TOUCHED_MS);
    this.#touch = { user, glow, mark, timer };
  }

  disconnected() {
    this.#endTouch();
  }

  #fadeTouch() {
    const touch = this.#touch;
    for (const each of [touch.glow, touch.mark]) each.classList.add("going");
    touch.timer = setTimeout(() => this.#endTouch(), GOING_MS);
  }

  #endTouch() {
    if (!this.#touch) return;
    clearTimeout(this.#touch.timer);
    this.#touch.glow.remove();
    this.#touch.mark.remove();
    this.#touch = null;
  }

  #make() {
    const { name } = this.line;
    const parts = {
      name: h("span.line-title", {}, name),
      lookers: h("span.lookers", {}),
      marks: h("span.line-marks", {}),
      unit: h("span.unit-price", {}),
      note: h("note-editor", {
        label: `Note on ${name}`,
        onnote: ({ detail }) => this.#act({ kind: "note", text: detail }),
      }),
      qty: h("span.plain-qty", {}),
      sum: h("span.line-total", {}),
      actions: h("div.line-actions", {}),
      steps: null,
    };
    this.#parts = parts;
    parts.qtyBox = h("div.line-qty", {}, parts.qty);
    const facts = h("div.line-facts", {}, parts.unit, parts.lookers, parts.marks);
    this.replaceChildren(
      h("div.line-text", {}, parts.name, facts, parts.note),
      parts.qtyBox,
      parts.sum,
      parts.actions,
    );
  }

  #showLine(before) {
    const { line, saved, mayEdit } = this.#shown;
    const parts = this.#parts;
    const { currency } = this.desk;
    if (line.line !== before.line?.line) this.dataset.line = line.line;
    setText(parts.name, line.name);
    setText(parts.unit, `${money(line.unit_price, currency)} each`);
    setText(parts.sum, money(line.unit_price * line.qty, currency));
    this.#showControls();
    parts.note.text = line.note ?? "";
    parts.note.editable = mayEdit;
    if (mayEdit !== before.mayEdit || saved !== before.saved) this.#makeActions();
  }

  /** How many: to change, or only to read. */
  #showControls() {
    const parts = this.#parts;
    const { line, saved, mayEdit } = this.#shown;
    const counted = this.#dressed && mayEdit && !saved;
    setText(parts.qty, counted ? "" : `${countText(line.qty)} ×`);
    if (!counted) {
      parts.steps?.remove();
      return;
    }
    parts.steps ??= h("quantity-stepper", {
      label: line.name,
      onstep: ({ detail }) => this.#act({ kind: "change_quantity", by: detail }),
      onset: ({ detail }) => this.#act({ kind: "set_quantity", qty: detail }),
    });
    parts.steps.value = line.qty;
    parts.steps.prepare();
    if (!parts.steps.isConnected) parts.qtyBox.prepend(parts.steps);
  }

  /** On narrow screens the buttons are one, which opens a menu; the style shows what fits. */
  #makeActions() {
    const { mayEdit } = this.#shown;
    const { name } = this.line;
    const menu = iconButton("more", `More for ${name}`, () => this.#openMenu());
    menu.classList.add("line-menu");
    menu.setAttribute("aria-haspopup", "dialog");
    const buttons = () => [
      iconButton("note", `Note on ${name}`, () => this.#parts.note.open()),
      iconButton(...this.#moving(name)),
      iconButton("remove", `Remove ${name}`, () => this.#remove()),
      menu,
    ];
    this.#parts.actions.replaceChildren(...(mayEdit && this.#dressed ? buttons() : []));
  }

  #moving(name) {
    return this.#shown.saved
      ? ["back", `Move ${name} back to the cart`, () => this.#move("move_to_cart")]
      : ["later", `Save ${name} for later`, () => this.#move("save_for_later")];
  }

  async #openMenu() {
    const { saved, line } = this.#shown;
    const chosen = await dialog(line.name, (close) => [
      h(
        "div.menu.line-menu-items",
        {},
        menuItem("note", line.note ? "Change the note" : "Add a note", () => close("note")),
        menuItem(
          saved ? "back" : "later",
          saved ? "Move back to the cart" : "Save for later",
          () => close("move"),
        ),
        menuItem("remove", "Remove", () => close("remove")),
      ),
    ]);
    if (!this.isConnected || !this.#shown.mayEdit) return;
    if (chosen === "note") this.#parts.note.open();
    if (chosen === "move") this.#moving("")[2]();
    if (chosen === "remove") this.#remove();
  }

  #showPending() {
    const { pending } = this.#shown;
    this.classList.toggle("pending", pending);
    if (pending) this.setAttribute("aria-busy", "true");
    else this.removeAttribute("aria-busy");
  }

  #drawLookers() {
    const { lookers } = this.#shown;
    const touch = this.#touch;
    // One face is enough.
    if (lookers.some(({ user }) => user === touch?.user)) touch.mark.firstElementChild?.remove();
    const shown = lookers.slice(0, LOOKERS_MAX);
    const rest = lookers.length - shown.length;
    const more = rest && h("span.lookers-more", {}, `+${rest}`);
    this.#parts.lookers.replaceChildren(
      ...shown.map(({ user, name }) => avatar(user, name, `${name} is here`)),
      ...(more ? [more] : []),
    );
  }

  #act(op) {
    return this.desk.act({ ...op, line: this.line.line });
  }

  #move(kind) {
    this.tell("leaving");
    this.#act({ kind });
  }

  #remove() {
    this.tell("leaving");
    this.desk.remove(this.line, this.#shown.saved);
  }
}

define("cart-line", CartLine);
