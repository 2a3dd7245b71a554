/** The lines of a cart by whom they are for, what is saved for later, and the totals. */

import { h, setText } from "../app/dom.js";
import { money } from "../app/money.js";
import { piecesText } from "../app/pieces.js";
import "./cart-line.js";
import { define, Element } from "./element.js";
import { inSight } from "./line-group.js";
import "./moving-amount.js";

/** Lines are made, and brought up to date, for so long a frame; the rest waits for the next ones. */
const LINES_MS = 4;
/** However long it takes, so many that others have changed are brought up to date. */
const CHANGED_MIN = 2;
/** The first lines are in sight, most likely. */
const NEAR_LINES = 20;
/** On so many lines a frame is shown who changed them and who looks at them; others wait. */
const SHOWN_MAX = 4;

/** `{user, lines}`: ours first, then in the order of the cart's members, then of who has left. */
function groupsOf(state, me) {
  const byUser = new Map([[me, []], ...state.members.map(({ user }) => [user, []])]);
  for (const line of state.lines) {
    if (!byUser.has(line.for)) byUser.set(line.for, []);
    byUser.get(line.for).push(line);
  }
  return [...byUser].filter(([, lines]) => lines.length).map(([user, lines]) => ({ user, lines }));
}

/** Make `elements` the children of `parent`, moving only what is out of place. */
function place(parent, elements) {
  let at = parent.firstElementChild;
  for (const element of elements) {
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
  }
}

/**
 * `<cart-lines>` with the `desk` of its cart. `draw(state)` brings it up to date, `mark(lines,
 * user)` says whose change is to be shown on which lines with the next drawing. The focus is never
 * lost to what others do: it follows a line that moves, and goes to a neighbour of one that goes.
 */
export class CartLines extends Element {
  desk;
  #lines = new Map();
  #groups = new Map();
  #marks = new Map();
  #drawn = {};
  #unmade = 0;
  #changed = 0;
  #behind = 0;
  #anew = true;
  #parts;

  build() {
    this.id = "cart-main";
    const skip = () => this.#parts.totals.focus();
    const parts = {
      skip: h("button.to-total", { type: "button", onclick: skip }, "To the total"),
      emptyHint: h("p.muted", {}),
      groups: h("div.groups", {}),
      saved: h("line-group", {}),
      count: h("span", {}),
      total: h("moving-amount.total", {}),
    };
    parts.empty = h(
      "div.empty",
      { tabindex: "-1" },
      h("p.empty-title", {}, "This cart is empty."),
      parts.emptyHint,
      h("button", { type: "button", onclick: () => this.tell("find") }, "Find products"),
    );
    parts.totals = h("div.totals", { tabindex: "-1" }, parts.count, parts.total);
    parts.saved.classList.add("saved");
    this.#parts = parts;
    this.addEventListener("leaving", ({ target }) => this.#leave(target));
    this.append(parts.skip, parts.empty, parts.groups, parts.saved, parts.totals);
  }

  mark(lines, user) {
    for (const line of lines) this.#marks.set(line, user);
  }

  draw(state) {
    const { desk } = this;
    for (const id of desk.takeMoved(SHOWN_MAX)) this.#lineOf(id)?.showLookers(desk.lookers(id));
    this.#drawChanged(state);
    this.#showMarks();
  }

  #drawChanged(state) {
    const { lines, saved, members } = state;
    const { mayEdit, waiting } = this.desk;
    const now = { lines, saved, members, mayEdit, waiting };
    const differs = (name) => now[name] !== this.#drawn[name];
    const left = this.#unmade || this.#behind;
    if (!Object.keys(now).some(differs) && !waiting && !left) return;
    // What isn't in the lines themselves may have changed on any of them.
    const waited = waiting > 0 || this.#drawn.waiting > 0;
    this.#anew = waited || differs("members") || differs("mayEdit");
    this.toggleAttribute("data-viewing", !mayEdit);
    this.#drawn = now;
    const held = this.#hold();
    this.#drawLines(state);
    this.#drawTotals(state); // What says that the cart is empty takes no focus while it is hidden.
    this.#keepFocus(held);
  }

  /** What is out of sight, or yet to be made, isn't worth a mark. */
  #showMarks() {
    let shown = 0;
    for (const [id, user] of this.#marks) {
      if (shown === SHOWN_MAX) {
        this.desk.redraw();
        break;
      }
      this.#marks.delete(id);
      const line = this.#lineOf(id);
      if (!line || !inSight(line)) continue;
      line.touched(user, this.desk.person(user));
      shown += 1;
    }
  }

  /** How many lines are still to be made. */
  get unmade() {
    return this.#unmade;
  }

  #drawLines(state) {
    const groups = groupsOf(state, this.desk.me);
    this.#dropGone(state, groups);
    this.#unmade = 0;
    this.#changed = 0;
    this.#behind = 0;
    const until = performance.now() + LINES_MS;
    const drawn = groups.map(({ user, lines }) => {
      const group = this.#group(user);
      if (this.#drawGroup(group, lines, false, until)) this.#showGroup(group, user, lines);
      return group;
    });
    place(this.#parts.groups, drawn);
    const { saved } = this.#parts;
    saved.hidden = !state.saved.length;
    if (this.#drawGroup(saved, state.saved, true, until)) {
      saved.show("Saved for later", piecesText(state.saved.reduce(addQty, 0)));
    }
    this.toggleAttribute("data-unmade", this.#unmade > 0);
    if (this.#unmade || this.#behind) this.desk.redraw();
  }

  /** Whether anything of the group differed from what was drawn of it. */
  #drawGroup(group, lines, saved, until) {
    const before = group.drawn;
    const whole = before.made === before.lines.length && !before.behind;
    const same = lines.length === before.lines.length && lines.every((line, at) => line === before.lines[at]);
    if (same && whole && !this.#anew) return false;
    const behind = this.#behind;
    const elements = this.#elements(lines, saved, until);
    group.drawn = { lines, made: elements.length, behind: this.#behind - behind };
    group.near = this.#lines.size <= NEAR_LINES;
    group.place(elements);
    return true;
  }

  #group(user) {
    if (!this.#groups.has(user)) {
      const group = h("line-group", { user, name: this.desk.person(user) });
      this.#groups.set(user, group);
    }
    return this.#groups.get(user);
  }

  #showGroup(group, user, lines) {
    const { desk } = this;
    const amount = lines.reduce((total, line) => total + line.qty * line.unit_price, 0);
    const sum = `${piecesText(lines.reduce(addQty, 0))} · ${money(amount, desk.currency)}`;
    group.show(user === desk.me ? "For you" : `For ${desk.person(user)}`, sum);
  }

  /** The elements of lines, up to date; those for which there was no time are left out. */
  #elements(lines, saved, until) {
    const { desk } = this;
    const { mayEdit } = desk;
    const made = [];
    for (const line of lines) {
      const element = this.#element(desk.keyOf(line), until);
      if (!element) continue;
      made.push(element);
      if (element.line === line && element.saved === saved && !this.#anew) continue;
      if (this.#mayWait(element, until)) continue;
      const id = line.line;
      const pending = desk.isPending(id);
      element.show({ line, saved, mayEdit, pending, lookers: desk.lookers(id) });
    }
    return made;
  }

  /** Whether a line can be brought up to date with a later frame; ours never waits. */
  #mayWait(element, until) {
    const known = element.line && !this.#anew;
    if (!known || this.#changed < CHANGED_MIN || performance.now() <= until) {
      this.#changed += 1;
      return false;
    }
    this.#behind += 1;
    return true;
  }

  #element(key, until) {
    const known = this.#lines.get(key);
    if (known) return known;
    if (performance.now() > until) {
      this.#unmade += 1;
      return null;
    }
    const element = h("cart-line", { desk: this.desk });
    if (this.#lines.size < NEAR_LINES) element.dress();
    this.#lines.set(key, element);
    return element;
  }

  #dropGone(state, groups) {
    const keys = new Set([...state.lines, ...state.saved].map((line) => this.desk.keyOf(line)));
    for (const [key, element] of this.#lines) {
      if (keys.has(key)) continue;
      element.remove();
      this.#lines.delete(key);
    }
    const users = new Set(groups.map(({ user }) => user));
    for (const [user, group] of this.#groups) {
      if (users.has(user)) continue;
      group.remove(); // Lines of it that only move are put elsewhere after this.
      this.#groups.delete(user);
    }
  }

  #drawTotals({ lines, totals, currency }) {
    const { empty, emptyHint, count, total, skip } = this.#parts;
    empty.hidden = lines.length > 0;
    skip.hidden = lines.length === 0;
    const hint = this.desk.mayEdit
      ? "Add products to it; everybody here sees them at once."
      : "What others add appears here at once.";
    setText(emptyHint, hint);
    empty.lastElementChild.hidden = !this.desk.mayEdit;
    setText(count, `Total of ${piecesText(totals.pieces)}`);
    total.show(totals.total, currency);
  }

  #lineOf(id) {
    return this.#lines.get(this.desk.keyOf({ line: id }));
  }

  /** What has the focus, and where it is among the lines. */
  #hold() {
    const active = document.activeElement;
    const line = this.contains(active) ? active.closest(".line") : null;
    return line && { active, line, at: this.#inOrder().indexOf(line) };
  }

  #keepFocus(held) {
    if (!held || document.activeElement === held.active) return;
    if (held.active.isConnected && held.line.isConnected) {
      held.active.focus({ preventScroll: true });
    } else if (held.line.isConnected) {
      held.line.focus({ preventScroll: true });
    } else {
      this.#focusAt(held.at);
    }
  }

  /** Our own doing takes a line away: go to the next one before. */
  #leave(line) {
    const order = this.#inOrder();
    const at = order.indexOf(line);
    const next = order[at + 1] ?? order[at - 1];
    if (next) next.focus({ preventScroll: true });
    else this.#parts.totals.focus({ preventScroll: true });
  }

  #focusAt(at) {
    const order = this.#inOrder();
    const target = order[Math.min(at, order.length - 1)] ?? this.#parts.empty;
    target.focus({ preventScroll: true });
  }

  #inOrder() {
    return [...this.querySelectorAll(".line")];
  }
}

function addQty(total, { qty }) {
  return total + qty;
}

define("cart-lines", CartLines);
