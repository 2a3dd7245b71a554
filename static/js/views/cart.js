/** A cart, live: its lines and who they are for, its people, its history, and products to add. */

import { confirmed } from "../dialogs.js";
import { h, icon, setText } from "../dom.js";
import { avatar } from "../parts/avatar.js";
import { finder, piecesBySku } from "../parts/finder.js";
import { historyPart } from "../parts/history.js";
import { linesPart } from "../parts/lines.js";
import { noteEditor } from "../parts/note.js";
import { peoplePart } from "../parts/people.js";
import { ownId, shareDialog } from "../parts/share.js";
import { tabs } from "../parts/tabs.js";
import { titleEditor } from "../parts/title.js";
import { makeDesk } from "./desk.js";

const GONE = {
  deleted: ["This cart was deleted", "Its owner deleted it; nobody can open it any more."],
  left: ["You left this cart", "Its owner can let you in again."],
  removed: ["You are no longer in this cart", "Its owner removed you."],
  not_found: ["There is no such cart for you", "It doesn't exist, or you are not one of its members."],
};

function goneCard(reason, error) {
  const [title, text] = GONE[reason] ?? ["This cart is closed", error?.message ?? ""];
  return h(
    "div.card.gone",
    {},
    h("h1", { tabindex: "-1" }, title),
    h("p", {}, text),
    h("p", {}, h("a.button", { href: "#/carts" }, "My carts")),
  );
}

function loadingCard() {
  const rows = Array.from({ length: 4 }, () => h("div.skeleton", {}));
  return h(
    "div.card.loading",
    { "aria-busy": "true" },
    h("h1", { tabindex: "-1" }, "Opening the cart…"),
    rows,
  );
}

/** Buttons of the cart as a whole, and what they ask first. */
function cartActions(room, app, desk) {
  const share = h(
    "button.primary",
    {
      type: "button",
      onclick: () =>
        shareDialog(app.user, (grant) => room.op({ kind: "share", users: [grant] })),
    },
    icon("share"),
    "Share",
  );
  const clear = h("button", {
    type: "button",
    onclick: async () => {
      const text = "All lines are removed for everybody. What is saved for later stays.";
      if (await confirmed("Empty the cart?", text, "Empty it")) desk.act({ kind: "clear" });
    },
  }, "Empty cart");
  const leave = h("button", {
    type: "button",
    onclick: async () => {
      const text = "You will no longer see this cart. What was added for you stays in it.";
      if (await confirmed("Leave this cart?", text, "Leave")) {
        desk.act({ kind: "unshare", user: app.user.id });
      }
    },
  }, "Leave cart");
  const remove = h("button.danger", {
    type: "button",
    onclick: async () => {
      const text = "It is deleted for all its members. This can't be taken back.";
      if (await confirmed("Delete this cart?", text, "Delete")) desk.act({ kind: "delete" });
    },
  }, "Delete cart");
  const update = (state) => {
    share.hidden = !desk.owns();
    clear.hidden = !desk.mayEdit() || !state.lines.length;
    leave.hidden = desk.owns();
    remove.hidden = !desk.owns();
  };
  return { share, rest: h("div.cart-actions", {}, clear, leave, remove), update };
}

/** The faces of who is here now, one a person however many tabs they have open. */
function facesView(desk) {
  const element = h("div.faces", { role: "group", "aria-label": "Here now" });
  const update = () => {
    const here = desk.here();
    element.replaceChildren(
      ...here.map(({ user, name }) => avatar(user, name, user === desk.me() ? `${name} (you)` : name)),
    );
    element.hidden = !here.length;
  };
  return { element, update };
}

/** Which member the next product is for. */
function forSelect(app) {
  const select = h("select", { id: "for-member" });
  const box = h("div.for-member", {}, h("label", { for: "for-member" }, "Add for"), select);
  const update = (members) => {
    const wanted = select.value || app.user.id;
    const options = members.map(({ user, name }) =>
      h("option", { value: user }, user === app.user.id ? `${name} (you)` : name),
    );
    const same =
      options.length === select.options.length &&
      options.every((option, at) => option.value === select.options[at].value && option.text === select.options[at].text);
    if (same) return;
    select.replaceChildren(...options);
    select.value = members.some(({ user }) => user === wanted) ? wanted : app.user.id;
  };
  return { element: box, update, value: () => select.value };
}

/** The whole view of an open cart: `{element, update, stop}`. */
function cartView(room, app) {
  const desk = makeDesk(room, app, () => update());
  const title = titleEditor((name) => desk.act({ kind: "rename", name }));
  const note = noteEditor("Note on the cart", (text) => desk.act({ kind: "note", text }));
  const noteButton = h("button.quiet", { type: "button", onclick: () => note.open() });
  const faces = facesView(desk);
  const actions = cartActions(room, app, desk);
  const lines = linesPart(desk);
  const away = h("p.away", { hidden: true }, "Not connected. Changes you make are kept and sent as soon as the connection is back; keep this page open.");
  const people = peoplePart(desk);
  const past = historyPart(room, app.names, (line, name) => app.knowLine(line, name));
  const forWhom = forSelect(app);
  let pieces = new Map();
  const find = finder(
    {
      ready: () => desk.mayEdit(),
      count: (sku) => pieces.get(sku) ?? 0,
      add: async ({ sku }, qty) =>
        (await app.act({ kind: "add", items: [{ sku, qty, for: forWhom.value() }] })) !== null,
    },
    forWhom.element,
  );
  const viewing = h("p.notice", {}, "You may look at this cart, not change it.");
  const side = tabs("cart-side", [
    { name: "cart", label: "Cart", panel: null },
    { name: "find", label: "Add", panel: h("div", {}, viewing, find.element) },
    { name: "people", label: "People", panel: h("div", {}, people.element, ownId(app.user)) },
    { name: "history", label: "History", panel: past.element, opened: () => past.open() },
  ]);
  const main = h(
    "section.cart.card",
    { "aria-label": "Cart" },
    h("div.cart-head", {}, title.element, faces.element, actions.share),
    h("div.cart-note", {}, note.element, noteButton),
    away,
    lines.element,
    actions.rest,
  );
  desk.listen(main);

  const update = () => {
    const { state } = room;
    pieces = piecesBySku(state);
    title.update(state.name, desk.mayEdit());
    document.title = `${state.name} · Cartroom`;
    note.update(state.note ?? "", desk.mayEdit());
    noteButton.hidden = !desk.mayEdit();
    setText(noteButton, state.note ? "Edit note" : "Add a note");
    away.hidden = room.status === "live";
    viewing.hidden = desk.mayEdit();
    faces.update();
    actions.update(state);
    lines.update(state);
    people.update(state.members);
    forWhom.update(state.members);
    forWhom.element.hidden = !desk.mayEdit();
    side.count("cart", state.totals.pieces);
    side.count("people", state.members.length);
    find.refresh();
  };
  const stops = [room.on("op", (entry) => past.hear(entry)), room.on("state", () => past.reset())];
  return {
    element: h("div.room", {}, side.list, main, side.panels),
    update,
    stop: () => {
      stops.forEach((end) => end());
      desk.stop();
      side.stop();
      find.stop();
    },
  };
}

/** Show the cart `id` in `root`. Returns the function that ends the view; the room stays open. */
export function showCart(root, app, id) {
  const room = app.open(id);
  let view = null;
  let drawn = false;

  const draw = () => {
    drawn = false;
    if (room.closed) {
      view?.stop();
      view = null;
      root.replaceChildren(goneCard(room.reason, room.status === "failed" ? room.reason : null));
      root.querySelector("h1").focus({ preventScroll: true });
    } else if (room.state) {
      if (!view) {
        view = cartView(room, app);
        root.replaceChildren(view.element);
      }
      view.update();
    } else if (!root.querySelector(".loading")) {
      root.replaceChildren(loadingCard());
    }
  };
  // A burst of changes is drawn once.
  const drawSoon = () => {
    if (drawn) return;
    drawn = true;
    queueMicrotask(() => drawn && !stopped && draw());
  };
  let stopped = false;
  root.replaceChildren();
  draw();
  const stop = room.on("change", drawSoon);
  return () => {
    stopped = true;
    stop();
    view?.stop();
  };
}
