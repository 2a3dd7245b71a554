/** Small helpers over the DOM. Text is always set as text, so nothing that people write is HTML. */

/**
 * An element: `h("button.primary", { type: "button", onclick: act }, "Save")`.
 *
 * `on…` functions become listeners, booleans toggle attributes, `value`, `checked` and `disabled`
 * are properties, and so is what a custom element declares itself (its module must be imported);
 * undefined and null are left out; children are nodes, texts, lists or nothing.
 */
export function h(selector, props = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) setProp(element, name, value);
  element.append(...flat(children));
  return element;
}

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "textContent"]);

function setProp(element, name, value) {
  if (value === undefined || value === null) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (PROPERTIES.has(name) || declares(element, name)) element[name] = value;
  else if (typeof value === "boolean") element.toggleAttribute(name, value);
  else element.setAttribute(name, value);
}

/** Whether it is a property of the custom element's own. */
function declares(element, name) {
  return element.localName.includes("-") && name in element && !(name in HTMLElement.prototype);
}

function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false);
}

/** Set an element's text only when it differs, so that a reader isn't told the same again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make `parent`'s children those of `items`, keeping the elements of items that stay: focus and
 * half-typed text survive what others do. `create(item)` returns an object with `element` and
 * `update(item)`. `views` is a Map that the caller keeps from call to call.
 */
export function keyed(parent, views, items, keyOf, create) {
  const keys = new Set(items.map(keyOf));
  for (const [key, view] of views) {
    if (keys.has(key)) continue;
    view.element.remove();
    views.delete(key);
  }
  let previous = null;
  for (const item of items) {
    const key = keyOf(item);
    if (!views.has(key)) views.set(key, create(item));
    const view = views.get(key);
    view.update(item);
    const place = previous ? previous.nextSibling : parent.firstChild;
    // Moving an element takes its focus away, so only what is out of place moves.
    if (view.element !== place) parent.insertBefore(view.element, place);
    previous = view.element;
  }
}

/** Call `act` once no call came for `waitMs`; `.cancel()` forgets the last one. */
export function debounce(act, waitMs) {
  let timer = null;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), waitMs);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

let lastId = 0;

/** An id that is unique on the page, to tie labels and descriptions to their fields. */
export function uniqueId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

const ICONS = new URL("../../icons.svg", import.meta.url).pathname;

/** An icon of `icons.svg`; decoration, so the button around it needs a name. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${ICONS}#${name}`);
  svg.append(use);
  return svg;
}
