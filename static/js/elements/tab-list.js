/**
 * Tabs. On a wide page the first one's content is always in sight beside the others; there the
 * style hides its tab, and choosing it means the second.
 */

import { h, setText } from "../app/dom.js";
import { countText } from "../app/pieces.js";
import { define, Element } from "./element.js";

const WIDE = matchMedia("(min-width: 60rem)");
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

/**
 * `<tab-list>` with `name` (a prefix for ids), `label` and `tabs`: `{name, label, icon, panel}`,
 * the first's panel being what stands beside, which has an id of its own. Tells `choose` (detail:
 * the name) whenever another is shown.
 */
export class TabList extends Element {
  name = "";
  label = "";
  tabs = [];
  #buttons = new Map();
  #counts = new Map();
  #chosen = null;

  build() {
    this.classList.add("tabs");
    this.setAttribute("role", "tablist");
    this.setAttribute("aria-label", this.label);
    this.addEventListener("keydown", (event) => this.#move(event));
    for (const tab of this.tabs) this.#add(tab);
    this.choose(this.tabs[WIDE.matches ? 1 : 0].name);
  }

  connected() {
    this.follow(WIDE, "change", () => this.choose(this.#chosen));
    if (this.#chosen) this.choose(this.#chosen);
  }

  /** The name of the tab that is shown. */
  get chosen() {
    return this.#chosen;
  }

  /** Show a number beside a tab's label; 0 shows none. */
  count(name, number) {
    setText(this.#counts.get(name), number ? ` ${countText(number)}` : "");
  }

  choose(wanted) {
    const [first, second] = this.tabs;
    const name = WIDE.matches && wanted === first.name ? second.name : wanted;
    const fresh = name !== this.#chosen;
    this.#chosen = name;
    for (const tab of this.tabs) {
      const chosen = tab.name === name;
      const button = this.#buttons.get(tab.name);
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      if (tab !== first) tab.panel.hidden = !chosen;
    }
    if (fresh) this.tell("choose", name);
  }

  #add({ name, label, icon, panel }) {
    const count = h("span.tab-count", {});
    panel.id ||= `${this.name}-${name}`;
    const props = {
      type: "button",
      role: "tab",
      id: `${this.name}-tab-${name}`,
      "aria-controls": panel.id,
      "data-tab": name,
      onclick: () => this.choose(name),
    };
    const button = h("button.tab", props, icon, h("span", {}, label, count));
    this.#counts.set(name, count);
    this.#buttons.set(name, button);
    this.append(button);
    if (name === this.tabs[0].name) return;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", button.id);
  }

  #move(event) {
    const shown = this.tabs.slice(WIDE.matches ? 1 : 0).map(({ name }) => name);
    const ends = { Home: shown[0], End: shown.at(-1) };
    const step = STEPS[event.key];
    if (!step && !ends[event.key]) return;
    event.preventDefault();
    const at = shown.indexOf(this.#chosen);
    const next = ends[event.key] ?? shown[(at + step + shown.length) % shown.length];
    this.choose(next);
    this.#buttons.get(next).focus();
  }
}

define("tab-list", TabList);
