/** A cart, live; or why it can't be seen. */

import { h } from "../app/dom.js";
import { closeDialogs } from "../elements/dialogs.js";
import { define, Element } from "../elements/element.js";
import "./cart/cart-room.js";
import { failedCard, goneCard, loadingCard, unreachedCard } from "./cart/states.js";

/** A connection that takes longer than so is told to be missing. */
const PATIENCE_MS = 4_000;

/** `<cart-view>` with `app` and `argument`, the cart's id. The room stays open when it ends. */
export class CartView extends Element {
  app;
  argument = "";
  #room;
  #shown = "";
  #patient = true;

  connected() {
    const { client } = this.app;
    this.follow(client, "status", () => this.#draw());
    const timer = setTimeout(() => {
      this.#patient = false;
      this.#draw();
    }, PATIENCE_MS);
    this.until(() => clearTimeout(timer));
    this.until(() => this.#stopFollowing());
    this.#open();
  }

  #stopFollowing = () => {};

  #open() {
    this.#stopFollowing();
    this.#room = this.app.open(this.argument);
    this.#stopFollowing = this.#room.on("change", () => this.#draw());
    this.#draw();
  }

  #draw() {
    const room = this.#room;
    if (room.status === "gone") this.#show("gone", () => goneCard(room.reason));
    else if (room.status === "failed") {
      this.#show("failed", () => failedCard(room.reason, () => this.#open()));
    } else if (room.state) this.#show("open", () => h("cart-room", { app: this.app, room }));
    else if (this.#unreached()) {
      this.#show("unreached", () => unreachedCard(() => this.app.client.wake()));
    } else this.#show("loading", loadingCard);
  }

  #unreached() {
    const { status } = this.app.client;
    if (status === "live") return false;
    return !this.#patient || !navigator.onLine || status === "waiting";
  }

  /** Put another state's element in place; who read the one before reads on from its heading. */
  #show(state, make) {
    if (this.#shown === state) return;
    const first = !this.#shown;
    this.#shown = state;
    if (state === "gone" || state === "failed") closeDialogs();
    const reading = first || this.contains(document.activeElement);
    this.replaceChildren(make());
    const lost = document.activeElement === document.body || !document.activeElement;
    if (reading || lost) this.querySelector("h1")?.focus({ preventScroll: true });
  }
}

<<<<<<< HEAD
function loadingCard() {
  const rows = Array.from({ length: 4 }, () => h("div.skeleton", {}));
  return h(
    "div.card.loading",
    { "aria-busy": "true" },
    h("h1", { tabindex: "-1" }, "Opening the cart…"),
    rows,
  );
}

/** A button that asks before it acts. */
function askingButton(selector, label, { title, text, action, act }) {
  const onclick = async () => {
    if (await confirmed(title, text, action)) act();
  };
  return h(selector, { type: "button", onclick }, label);
}

/** Buttons of the cart as a whole: `{element, update(state)}`. */
function cartActions(desk) {
  const clear = askingButton("button", "Empty cart", {
    title: "Empty the cart?",
    text: "All lines are removed for everybody. What is saved for later stays.",
    action: "Empty it",
    act: () => desk.act({ kind: "clear" }),
  });
  const leave = askingButton("button", "Leave cart", {
    title: "Leave this cart?",
    text: "You will no longer see this cart. What was added for you stays in it.",
    action: "Leave",
    act: () => desk.act({ kind: "unshare", user: desk.me() }),
  });
  const remove = askingButton("button.danger", "Delete cart", {
    title: "Delete this cart?",
    text: "It is deleted for all its members. This can't be taken back.",
    action: "Delete",
    act: () => desk.act({ kind: "delete" }),
  });
  const update = (state) => {
    clear.hidden = !desk.mayEdit() || !state.lines.length;
    leave.hidden = desk.owns();
    remove.hidden = !desk.owns();
  };
  return { element: h("div.cart-actions", {}, clear, leave, remove), update };
}

/** The faces of who is here now, one a person however many tabs they have open. */
function facesView(desk) {
  const element = h("div.faces", { role: "group", "aria-label": "Here now" });
  const face = ({ user, name }) => avatar(user, name, user === desk.me() ? `${name} (you)` : name);
  const update = () => {
    const here = desk.here();
    element.replaceChildren(...here.map(face));
    element.hidden = !here.length;
  };
  return { element, update };
}

/** Which member the next product is for. */
function forSelect(me) {
  const select = h("select", { id: "for-member" });
  const element = h("div.for-member", {}, h("label", { for: "for-member" }, "Add for"), select);
  let shown = "";
  const update = (members) => {
    const wanted = select.value || me;
    const options = members.map(({ user, name }) => [user, user === me ? `${name} (you)` : name]);
    const fresh = JSON.stringify(options);
    if (fresh === shown) return; // An open list is not pulled away under somebody's hand.
    shown = fresh;
    select.replaceChildren(...options.map(([value, name]) => h("option", { value }, name)));
    select.value = members.some(({ user }) => user === wanted) ? wanted : me;
  };
  return { element, update, value: () => select.value };
}

/** The head of the cart: name, who is here, the share button, the note. */
function headView(room, app, desk) {
  const title = titleEditor((name) => desk.act({ kind: "rename", name }));
  const faces = facesView(desk);
  const grant = (users) => room.op({ kind: "share", users });
  const onclick = () => shareDialog(app, room.cart, (user) => grant([user]));
  const share = h("button.primary", { type: "button", onclick }, icon("share"), "Share");
  const note = noteEditor("Note on the cart", (text) => desk.act({ kind: "note", text }));
  const noteButton = h("button.quiet", { type: "button", onclick: () => note.open() });
  const element = [
    h("div.cart-head", {}, title.element, faces.element, share),
    h("div.cart-note", {}, note.element, noteButton),
  ];
  const update = (state) => {
    title.update(state.name, desk.mayEdit());
    faces.update();
    share.hidden = !desk.owns();
    note.update(state.note ?? "", desk.mayEdit());
    noteButton.hidden = !desk.mayEdit();
    setText(noteButton, state.note ? "Edit note" : "Add a note");
  };
  return { element, update };
}

/** The finder that adds to this cart, for the member who is chosen. */
function finderView(room, app, desk) {
  const forWhom = forSelect(app.user.id);
  const viewing = h("p.notice", {}, "You may look at this cart, not change it.");
  let pieces = new Map();
  const target = {
    ready: () => desk.mayEdit(),
    count: (sku) => pieces.get(sku) ?? 0,
    add: async (product, qty) => {
      const items = [{ sku: product.sku, qty, for: forWhom.value() }];
      return (await app.act({ kind: "add", items }, [product])) !== null;
    },
  };
  const find = finder(target, forWhom.element);
  const update = (state) => {
    pieces = piecesBySku(state);
    viewing.hidden = desk.mayEdit();
    forWhom.update(state.members);
    forWhom.element.hidden = !desk.mayEdit();
    find.refresh();
  };
  return { element: h("div", {}, viewing, find.element), update, stop: find.stop };
}

const AWAY =
  "Not connected. Changes you make are kept and sent as soon as the connection is back; " +
  "keep this page open.";

/** The whole view of an open cart: `{element, update, stop}`. */
function cartView(room, app) {
  const desk = makeDesk(room, app, () => update());
  const head = headView(room, app, desk);
  const lines = linesPart(desk);
  const actions = cartActions(desk);
  const find = finderView(room, app, desk);
  const people = peoplePart(desk);
  const past = new HistoryPart(room, app.names, (line, name) => app.knowLine(line, name));
  const side = new Tabs("cart-side", lines.element.id, [
    { name: "cart", label: "Cart", panel: null },
    { name: "find", label: "Add", panel: find.element },
    { name: "people", label: "People", panel: h("div", {}, people.element, ownId(app.user)) },
    { name: "history", label: "History", panel: past.element, opened: () => past.open() },
  ]);
  const away = h("p.away", { hidden: true }, AWAY);
  const parts = [head.element, away, lines.element, actions.element];
  const main = h("section.cart.card", { "aria-label": "Cart" }, parts);
  desk.listen(main);

  const update = () => {
    const { state } = room;
    document.title = `${state.name} · Cartroom`;
    away.hidden = room.status === "live";
    for (const part of [head, lines, actions, find]) part.update(state);
    people.update(state.members);
    side.count("cart", state.totals.pieces);
    side.count("people", state.members.length);
  };
  const stops = [room.on("op", (entry) => past.hear(entry)), room.on("state", () => past.reset())];
  const stop = () => {
    stops.forEach((end) => end());
    for (const part of [desk, side, find]) part.stop();
  };
  return { element: h("div.room", {}, side.list, main, side.panels), update, stop };
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
      closeDialogs();
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
=======
define("cart-view", CartView);
>>>>>>> c5dce76 (The cart room in custom elements: lines that are drawn once a frame, marks of who changed what, undo, tabs at the thumb, and its states)
