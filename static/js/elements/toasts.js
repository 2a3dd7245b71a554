/**
 * Short messages at the edge of the page. What others did is said politely to screen readers,
 * what went wrong at once. `#announce-polite` and `#announce-now` are the page's live regions,
 * `#toasts` is where messages are seen. Control+Z does what the last one offers, as its button may
 * be far away for who has the keyboard alone.
 */

import { h, icon } from "../app/dom.js";

const SHOWN_MAX = 4;
const SHOWN_MS = 6_000;
/** What went wrong, or can be acted on, wants more time. */
const LONG_SHOWN_MS = 12_000;
/** What is typed in has an undo of its own. */
const TYPED_IN = "input, textarea, select, [contenteditable]";

/** What had the focus before a message did. */
let before = null;

/**
 * A message as an element: `content`, `kind` (info or error), perhaps `action`, `{label, act}`;
 * `closed()` is called when it should go.
 */
export function toastView(content, { kind = "info", action, closed }) {
  const act = () => {
    closed();
    action.act();
  };
  const keys = "Control+Z Meta+Z";
  const button = action
    ? h(
        "button.toast-action",
        { type: "button", "aria-keyshortcuts": keys, onclick: act },
        action.label,
      )
    : null;
  const props = { type: "button", "aria-label": "Dismiss", onclick: closed };
  const close = h("button.icon-button", props, icon("close"));
  return h(`div.toast.${kind}`, {}, h("p", {}, content), button, close);
}

/** Show a message; the function that takes it away comes back. */
function show(content, shownMs, looks) {
  const stack = document.getElementById("toasts");
  let timer;
  const remove = () => {
    clearTimeout(timer);
    takeAway(toast);
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(remove, shownMs);
  };
  const toast = toastView(content, { ...looks, closed: remove });
  // Who points at it, or has the focus in it, isn't done with it.
  for (const name of ["pointerenter", "focusin"]) {
    toast.addEventListener(name, () => clearTimeout(timer));
  }
  for (const name of ["pointerleave", "focusout"]) toast.addEventListener(name, wait);
  toast.addEventListener("focusin", ({ relatedTarget }) => {
    if (!stack.contains(relatedTarget)) before = relatedTarget;
  });
  stack.append(toast);
  while (stack.children.length > SHOWN_MAX) takeAway(stack.firstElementChild);
  raise(stack);
  wait();
  return remove;
}

/** A message goes; the focus, if it has it, goes back to where it was. */
function takeAway(toast) {
  const had = toast.contains(document.activeElement);
  toast.remove();
  if (!had) return;
  before?.focus();
  if (document.activeElement === document.body) document.querySelector("main h1")?.focus();
}

document.addEventListener("keydown", (event) => {
  const { key, ctrlKey, metaKey, shiftKey, altKey, target } = event;
  if (key.toLowerCase() !== "z" || ctrlKey === metaKey || shiftKey || altKey) return;
  const offered = [...document.querySelectorAll("#toasts .toast-action")].at(-1);
  if (!offered || target.closest(TYPED_IN)) return;
  event.preventDefault();
  offered.click();
});

/** Over an open dialog too, which is in the browser's top layer: what came last is on top there. */
function raise(stack) {
  if (!document.querySelector("dialog[open]")) return;
  stack.popover = "manual";
  if (stack.matches(":popover-open")) stack.hidePopover();
  stack.showPopover();
}

function announce(id, text) {
  const region = document.getElementById(id);
  const line = h("p", {}, text);
  region.append(line);
  while (region.children.length > SHOWN_MAX) region.firstElementChild.remove();
  setTimeout(() => line.remove(), LONG_SHOWN_MS);
}

/**
 * Something that happened. `action`, `{label, act}`, is what can be done about it, such as "Undo";
 * `link`, `{href, label}`, where to see it. The function that takes the message away comes back.
 */
export function tell(text, { action, link } = {}) {
  const content = link ? [`${text} `, h("a", { href: link.href }, link.label)] : text;
  const close = show(content, action || link ? LONG_SHOWN_MS : SHOWN_MS, { action });
  announce("announce-polite", text);
  return close;
}

/** Something that happened, and where to see it: `link` is `{href, label}`. */
export function tellWithLink(text, link) {
  return tell(text, { link });
}

/** Something that happened, and a button to do something about it: `{label, act}`. */
export function tellWithAction(text, action) {
  return tell(text, { action });
}

/** Said to screen readers alone: what is plain to see for everybody else. */
export function say(text) {
  announce("announce-polite", text);
}

/** Something that didn't work; `error.message` is for people. `action` as for `tell`. */
export function tellError(error, { action } = {}) {
  const close = show(error.message, LONG_SHOWN_MS, { kind: "error", action });
  announce("announce-now", error.message);
  return close;
}
