/** One line of the cart: what, how many, for how much, its note, and what can be done with it. */

import { h, icon, setText } from "../dom.js";
import { money } from "../money.js";
import { tellError } from "../toasts.js";
import { avatar } from "./avatar.js";
import { noteEditor } from "./note.js";

const QTY_MAX = 100_000;

function action(name, label, act) {
  return h(
    "button.icon-button",
    { type: "button", "aria-label": label, title: label, onclick: act },
    icon(name),
  );
}

/** − [n] +, telling `change(by)` and `set(qty)`. */
function stepper(name, { change, set }) {
  const input = h("input.qty", {
    type: "text",
    inputmode: "numeric",
    autocomplete: "off",
    "aria-label": `Quantity of ${name}`,
  });
  const less = h(
    "button",
    { type: "button", "aria-label": `One ${name} less`, onclick: () => change(-1) },
    icon("minus"),
  );
  const more = h(
    "button",
    { type: "button", "aria-label": `One ${name} more`, onclick: () => change(1) },
    icon("plus"),
  );
  let qty = 0;
  const commit = () => {
    const wanted = Number(input.value.trim());
    if (wanted === qty) return;
    if (Number.isInteger(wanted) && wanted >= 1 && wanted <= QTY_MAX) {
      set(wanted);
    } else {
      tellError(new Error("The quantity must be a whole number from 1 to 100,000."));
      input.value = String(qty);
    }
  };
  input.addEventListener("change", commit);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") input.value = String(qty);
  });
  const update = (fresh) => {
    const untouched = document.activeElement !== input || input.value === String(qty);
    qty = fresh;
    if (untouched) input.value = String(qty);
    // Not the disabled property: it would throw the focus away under the reader's fingers.
    less.setAttribute("aria-disabled", String(qty <= 1));
  };
  less.addEventListener("click", (event) => qty <= 1 && event.stopImmediatePropagation(), true);
  return { element: h("div.stepper", {}, less, input, more), update };
}

/**
 * `{element, update(line)}`. `desk` is what the cart view lends its lines:
 * `{act(op), mayEdit(), currency(), pending(line) → bool, lookers(line) → [{user, name}]}`;
 * `saved` lines wait beside the cart and don't count.
 */
export function lineView(first, desk, saved) {
  const { line: id, name } = first;
  const act = (op) => desk.act({ ...op, line: id });
  const steps = stepper(name, {
    change: (by) => act({ kind: "change_quantity", by }),
    set: (qty) => act({ kind: "set_quantity", qty }),
  });
  const unit = h("span.unit-price", {});
  const plainQty = h("span.plain-qty", {});
  const sum = h("span.line-total", {});
  const lookers = h("span.lookers", {});
  const note = noteEditor(`Note on ${name}`, (text) => act({ kind: "note", text }));
  const move = saved
    ? action("back", `Move ${name} back to the cart`, () => act({ kind: "move_to_cart" }))
    : action("later", `Save ${name} for later`, () => act({ kind: "save_for_later" }));
  const actions = h(
    "div.line-actions",
    {},
    action("note", `Note on ${name}`, () => note.open()),
    move,
    action("remove", `Remove ${name}`, () => act({ kind: "remove" })),
  );
  const element = h(
    "li.line",
    { "data-line": id },
    h("div.line-text", {}, h("span.line-name", {}, name, lookers), unit, note.element),
    h("div.line-qty", {}, saved ? null : steps.element, plainQty),
    sum,
    actions,
  );

  const update = (line) => {
    const currency = desk.currency();
    const mayEdit = desk.mayEdit();
    setText(unit, `${money(line.unit_price, currency)} each`);
    setText(sum, money(line.unit_price * line.qty, currency));
    steps.update(line.qty);
    steps.element.hidden = !mayEdit;
    setText(plainQty, saved || !mayEdit ? `${line.qty} ×` : "");
    actions.hidden = !mayEdit;
    note.update(line.note ?? "", mayEdit);
    const pending = desk.pending(id);
    element.classList.toggle("pending", pending);
    if (pending) element.setAttribute("aria-busy", "true");
    else element.removeAttribute("aria-busy");
    const here = desk.lookers(id);
    lookers.replaceChildren(
      ...here.map(({ user, name: who }) => avatar(user, who, `${who} is here`)),
    );
  };
  return { element, update };
}
