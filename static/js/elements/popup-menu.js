/** A button that opens a menu of things to do. */

import { h, icon } from "../app/dom.js";
import { define, Element } from "./element.js";
import { attachPanel } from "./popover.js";

const STEPS = { ArrowDown: 1, ArrowUp: -1 };

/**
 * `<popup-menu>` with `label` (what the button is called), `face` (what it shows, by default three
 * dots), and `items`, a list of `{label, icon?, act?, href?, danger?, disabled?}`, or a function
 * that gives it when the menu is opened. Arrow keys, Home and End go through it, letters to what
 * begins with them; Escape closes it.
 */
export class PopupMenu extends Element {
  label = "";
  face = null;
  items = [];
  #button;
  #menu;

  build() {
    const selector = this.face ? "button" : "button.icon-button";
    const props = {
      type: "button",
      "aria-haspopup": "menu",
      "aria-label": this.label,
      title: this.label,
    };
    this.#button = h(selector, props, this.face ?? icon("more"));
    this.#menu = h("div.menu", {
      role: "menu",
      "aria-label": this.label,
      onkeydown: (event) => this.#move(event),
    });
    attachPanel(this.#button, this.#menu, () => this.#rows()[0]?.focus());
    // Made when it opens: what can be done may have changed meanwhile.
    this.#menu.addEventListener("beforetoggle", ({ newState }) => {
      if (newState === "open") this.#fill();
    });
    this.append(this.#button, this.#menu);
  }

  close() {
    this.#menu.hidePopover();
  }

  #fill() {
    const items = typeof this.items === "function" ? this.items() : this.items;
    this.#menu.replaceChildren(...items.map((item) => this.#row(item)));
  }

  #row({ label, icon: name, act, href, danger, disabled }) {
    const onclick = () => {
      if (disabled) return;
      this.close();
      act?.();
    };
    const props = { role: "menuitem", tabindex: "-1", onclick };
    if (disabled) props["aria-disabled"] = "true";
    const content = [name ? icon(name) : null, label];
    const selector = danger ? ".menu-item.danger" : ".menu-item";
    if (href) return h(`a${selector}`, { ...props, href }, content);
    return h(`button${selector}`, { ...props, type: "button" }, content);
  }

  #rows() {
    return [...this.#menu.querySelectorAll("[role=menuitem]")];
  }

  #move(event) {
    const rows = this.#rows();
    const at = rows.indexOf(document.activeElement);
    const next = nextRow(rows, at, event);
    if (event.key === "Tab") this.close();
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}

function nextRow(rows, at, { key, ctrlKey, metaKey, altKey }) {
  if (key in STEPS) return rows[(at + STEPS[key] + rows.length) % rows.length];
  if (key === "Home") return rows[0];
  if (key === "End") return rows.at(-1);
  if (key.length !== 1 || key === " " || ctrlKey || metaKey || altKey) return null;
  const after = [...rows.slice(at + 1), ...rows.slice(0, at + 1)];
  return after.find((row) => row.textContent.trim().toLowerCase().startsWith(key.toLowerCase()));
}

define("popup-menu", PopupMenu);
