/**
 * A panel that a button opens below itself, in the browser's top layer. Escape, a click elsewhere
 * or another such panel closes it, and the focus returns: the Popover API does so.
 */

import { uniqueId } from "../app/dom.js";

const GAP_PX = 6;
const EDGE_PX = 14;

/**
 * Have `button` open and close `panel`, a `.panel` that stands beside it in the page; `opened()`
 * is called when it has been opened.
 */
export function attachPanel(button, panel, opened = () => {}) {
  panel.classList.add("panel");
  panel.id ||= uniqueId("panel");
  panel.popover = "auto";
  button.setAttribute("popovertarget", panel.id);
  button.setAttribute("aria-expanded", "false");
  const place = () => placeBelow(button, panel);
  panel.addEventListener("toggle", ({ newState }) => {
    const open = newState === "open";
    button.setAttribute("aria-expanded", String(open));
    const change = open ? "addEventListener" : "removeEventListener";
    for (const name of ["resize", "scroll"]) window[change](name, place, { passive: true });
    if (!open) return;
    place();
    opened();
  });
}

/** Below `button`, or above it where there is no room; its ends stay within the window. */
function placeBelow(button, panel) {
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = panel;
  const { clientWidth, clientHeight } = document.documentElement;
  const start = at.left + at.width / 2 < clientWidth / 2 ? at.left : at.right - width;
  const left = Math.min(Math.max(EDGE_PX, start), clientWidth - width - EDGE_PX);
  const fits = at.bottom + GAP_PX + height <= clientHeight || at.top < height + GAP_PX;
  const top = fits ? at.bottom + GAP_PX : at.top - GAP_PX - height;
  panel.style.setProperty("left", `${left}px`);
  panel.style.setProperty("top", `${top}px`);
}
