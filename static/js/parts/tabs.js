/**
 * Tabs. On a wide page the first one's content is always in sight beside the others; there the
 * style hides its tab, and choosing it means the second.
 */

import { h, setText } from "../dom.js";

const WIDE = matchMedia("(min-width: 60rem)");

/**
 * `entries` are `{name, label, panel, opened?}`; the first has no panel, it is what stands beside.
 * Returns `{list, panels, count(name, n)}`.
 */
export function tabs(id, entries) {
  const buttons = new Map();
  const counts = new Map();
  const panels = h("div.side.card", { id: `${id}-panels` });
  const list = h("div.tabs", { role: "tablist", "aria-label": "Parts of the cart" });

  const choose = (name) => {
    for (const entry of entries) {
      const chosen = entry.name === name;
      const button = buttons.get(entry.name);
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      if (entry.panel) entry.panel.hidden = !chosen;
      if (chosen) entry.opened?.();
    }
    document.getElementById("view").dataset.tab = name;
  };

  const shown = () => entries.filter((entry) => entry.panel || !WIDE.matches);
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const names = shown().map((entry) => entry.name);
    const at = names.findIndex((name) => buttons.get(name) === document.activeElement);
    const next = names[(at + step + names.length) % names.length];
    choose(next);
    buttons.get(next).focus();
  };

  for (const { name, label, panel } of entries) {
    const count = h("span.tab-count", {});
    counts.set(name, count);
    const button = h(
      "button.tab",
      {
        type: "button",
        role: "tab",
        id: `${id}-tab-${name}`,
        "aria-controls": panel ? `${id}-${name}` : "cart-main",
        "data-tab": name,
        onclick: () => choose(name),
      },
      label,
      count,
    );
    buttons.set(name, button);
    list.append(button);
    if (!panel) continue;
    panel.id = `${id}-${name}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", button.id);
    panels.append(panel);
  }
  list.addEventListener("keydown", move);
  choose(WIDE.matches ? entries[1].name : entries[0].name);
  const onWide = () => {
    const first = buttons.get(entries[0].name);
    if (WIDE.matches && first.getAttribute("aria-selected") === "true") choose(entries[1].name);
  };
  WIDE.addEventListener("change", onWide);
  return {
    list,
    panels,
    count: (name, number) => setText(counts.get(name), number ? ` ${number}` : ""),
    stop: () => WIDE.removeEventListener("change", onWide),
  };
}
