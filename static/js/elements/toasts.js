/**
 * Short messages at the edge of the page. What others did is said politely to screen readers,
 * what went wrong at once. `#announce-polite` and `#announce-now` are the page's live regions.
 */

import { h, icon } from "../app/dom.js";

const SHOWN_MAX = 4;
const SHOWN_MS = 6_000;
const LONG_SHOWN_MS = 12_000;

/** `act(remove)` makes the button of what can be done about it. */
function show(content, kind, shownMs, act) {
  const stack = document.getElementById("toasts");
  let timer;
  const remove = () => {
    clearTimeout(timer);
    toast.remove();
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(remove, shownMs);
  };
  const close = h(
    "button.icon-button",
    { type: "button", "aria-label": "Dismiss", onclick: remove },
    icon("close"),
  );
  const toast = h(`div.toast.${kind}`, {}, h("p", {}, content), act?.(remove), close);
  // Who points at it, or has the focus in it, isn't done with it.
  for (const name of ["pointerenter", "focusin"]) {
    toast.addEventListener(name, () => clearTimeout(timer));
  }
  for (const name of ["pointerleave", "focusout"]) toast.addEventListener(name, wait);
  stack.append(toast);
  while (stack.children.length > SHOWN_MAX) stack.firstElementChild.remove();
  wait();
}

function announce(id, text) {
  const region = document.getElementById(id);
  const line = h("p", {}, text);
  region.append(line);
  while (region.children.length > SHOWN_MAX) region.firstElementChild.remove();
  setTimeout(() => line.remove(), LONG_SHOWN_MS);
}

/** Something that happened. */
export function tell(text) {
  show(text, "info", SHOWN_MS);
  announce("announce-polite", text);
}

/** Something that happened, and where to see it: `link` is `{href, label}`. */
export function tellWithLink(text, { href, label }) {
  show([`${text} `, h("a", { href }, label)], "info", LONG_SHOWN_MS);
  announce("announce-polite", text);
}

/** Something that happened, and a button to do something about it: `{label, act}`. */
export function tellWithAction(text, { label, act }) {
  const button = (remove) => {
    const onclick = () => {
      remove();
      act();
    };
    return h("button.toast-action", { type: "button", onclick }, label);
  };
  show(text, "info", LONG_SHOWN_MS, button);
  announce("announce-polite", text);
}

/** Said to screen readers alone: what is plain to see for everybody else. */
export function say(text) {
  announce("announce-polite", text);
}

/** Something that didn't work; `error.message` is for people. */
export function tellError(error) {
  show(error.message, "error", LONG_SHOWN_MS);
  announce("announce-now", error.message);
}
