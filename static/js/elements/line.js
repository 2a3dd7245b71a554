/** One line of the cart: what, how many, for how much, its note, and what can be done with it. */

import { h, icon, setText } from "../app/dom.js";
import { money } from "../app/money.js";
import { avatar } from "./user-avatar.js";
import { noteEditor } from "./note.js";
import "./quantity-stepper.js";

function action(name, label, act) {
  return h(
    "button.icon-button",
    { type: "button", "aria-label": label, title: label, onclick: act },
    icon(name),
  );
}

/**
 * `{element, update(line)}`. `desk` is what the cart view lends its lines:
 * `{act(op), mayEdit(), currency(), pending(line) → bool, lookers(line) → [{user, name}]}`;
 * `saved` lines wait beside the cart and don't count.
 */
export function lineView(first, desk, saved) {
  const { line: id, name } = first;
  const act = (op) => desk.act({ ...op, line: id });
  const steps = h("quantity-stepper", {
    label: name,
    onstep: ({ detail }) => act({ kind: "change_quantity", by: detail }),
    onset: ({ detail }) => act({ kind: "set_quantity", qty: detail }),
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
    h("div.line-qty", {}, saved ? null : steps, plainQty),
    sum,
    actions,
  );

  const update = (line) => {
    const currency = desk.currency();
    const mayEdit = desk.mayEdit();
    setText(unit, `${money(line.unit_price, currency)} each`);
    setText(sum, money(line.unit_price * line.qty, currency));
    steps.value = line.qty;
    steps.hidden = !mayEdit;
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
