/** The lines of a cart by whom they are for, what is saved for later, and the totals. */

import { h, keyed, setText } from "../app/dom.js";
import { money } from "../app/money.js";
import { avatar } from "./user-avatar.js";
import { lineView } from "./line.js";

function piecesText(count) {
  return count === 1 ? "1 piece" : `${count} pieces`;
}

/** Lines by member: ours first, then in the order of the cart's members, then of who has left. */
function groups(state, me) {
  const byUser = new Map([[me, []], ...state.members.map(({ user }) => [user, []])]);
  for (const line of state.lines) {
    if (!byUser.has(line.for)) byUser.set(line.for, []);
    byUser.get(line.for).push(line);
  }
  return [...byUser].filter(([, lines]) => lines.length).map(([user, lines]) => ({ user, lines }));
}

function groupView({ user }, desk) {
  const views = new Map();
  const name = h("span", {});
  const sum = h("span.group-sum", {});
  const list = h("ul.lines", {});
  const head = h("h2.group-head", {}, avatar(user, desk.person(user)), name, sum);
  const update = ({ lines }) => {
    setText(name, user === desk.me() ? "For you" : `For ${desk.person(user)}`);
    const pieces = lines.reduce((total, line) => total + line.qty, 0);
    const amount = lines.reduce((total, line) => total + line.qty * line.unit_price, 0);
    setText(sum, `${piecesText(pieces)} · ${money(amount, desk.currency())}`);
    keyed(
      list,
      views,
      lines,
      (line) => line.line,
      (line) => lineView(line, desk, false),
    );
  };
  return { element: h("section.group", { "data-for": user }, head, list), update };
}

/** `{element, update(state)}`; `desk` as the cart view lends it to its parts. */
export function linesPart(desk) {
  const groupViews = new Map();
  const savedViews = new Map();
  const groupBox = h("div.groups", {});
  const empty = h("div.empty", {}, h("p", {}, "This cart is empty."), h("p.muted", {}));
  const savedList = h("ul.lines", {});
  const saved = h("section.group.saved", {}, h("h2.group-head", {}, "Saved for later"), savedList);
  const count = h("span", {});
  const total = h("strong.total", {});
  const totals = h("div.totals", {}, count, total);

  const update = (state) => {
    empty.hidden = state.lines.length > 0;
    const hint = desk.mayEdit() ? "Add products to it; everybody here sees them at once." : "";
    setText(empty.lastElementChild, hint);
    keyed(
      groupBox,
      groupViews,
      groups(state, desk.me()),
      (group) => group.user,
      (group) => groupView(group, desk),
    );
    saved.hidden = !state.saved.length;
    keyed(
      savedList,
      savedViews,
      state.saved,
      (line) => line.line,
      (line) => lineView(line, desk, true),
    );
    setText(count, `Total of ${piecesText(state.totals.pieces)}`);
    setText(total, money(state.totals.total, state.currency));
  };
  return { element: h("div", { id: "cart-main" }, empty, groupBox, saved, totals), update };
}
