/**
 * Tabs. On a wide page the first one's content is always in sight beside the others; there the
 * style hides its tab, and choosing it means the second.
 */

import { h, setText } from "../app/dom.js";

const WIDE = matchMedia("(min-width: 60rem)");

/**
 * `entries` are `{name, label, panel, opened?}`; the first has no panel, it is what stands beside
 * and has the id `beside`. `list` and `panels` are the elements.
 */
export class Tabs {
  #id;
  #entries;
  #buttons = new Map();
  #counts = new Map();
  #onWide = () => this.#leaveFirst();

  constructor(id, beside, entries) {
    this.#id = id;
    this.#entries = entries;
    this.panels = h("div.side.card", {});
    this.list = h("div.tabs", { role: "tablist", "aria-label": "Parts of the cart" });
    this.list.addEventListener("keydown", (event) => this.#move(event));
    for (const entry of entries) this.#add(entry, beside);
    this.#choose(entries[0].name);
    this.#leaveFirst();
    WIDE.addEventListener("change", this.#onWide);
  }

  /** Show a number beside a tab's label; 0 shows none. */
  count(name, number) {
    setText(this.#counts.get(name), number ? ` ${number}` : "");
  }

  stop() {
    WIDE.removeEventListener("change", this.#onWide);
  }

  #add({ name, label, panel }, beside) {
    const count = h("span.tab-count", {});
    const props = {
      type: "button",
      role: "tab",
      id: `${this.#id}-tab-${name}`,
      "aria-controls": panel ? `${this.#id}-${name}` : beside,
      "data-tab": name,
      onclick: () => this.#choose(name),
    };
    const button = h("button.tab", props, label, count);
    this.#counts.set(name, count);
    this.#buttons.set(name, button);
    this.list.append(button);
    if (!panel) return;
    panel.id = `${this.#id}-${name}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", button.id);
    this.panels.append(panel);
  }

  #choose(name) {
    for (const entry of this.#entries) {
      const chosen = entry.name === name;
      const button = this.#buttons.get(entry.name);
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      if (entry.panel) entry.panel.hidden = !chosen;
      if (chosen) entry.opened?.();
    }
    document.getElementById("view").dataset.tab = name;
  }

  #leaveFirst() {
    const [first, second] = this.#entries.map(({ name }) => name);
    const chosen = this.#buttons.get(first).getAttribute("aria-selected") === "true";
    if (WIDE.matches && chosen) this.#choose(second);
  }

  #move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const shown = this.#entries.filter((entry) => entry.panel || !WIDE.matches);
    const names = shown.map((entry) => entry.name);
    const at = names.findIndex((name) => this.#buttons.get(name) === document.activeElement);
    const next = names[(at + step + names.length) % names.length];
    this.#choose(next);
    this.#buttons.get(next).focus();
  }
}
