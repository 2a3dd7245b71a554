/**
 * An open cart: its lines beside what can be done and seen around it. However much happens, it is
 * drawn once a frame, and each part touches only what differs.
 */

import { h, icon, setText } from "../../app/dom.js";
import { OnceAFrame } from "../../app/frames.js";
import { touchedLines } from "../../app/touched.js";
import "../../elements/cart-history.js";
import "../../elements/cart-lines.js";
import { define, Element } from "../../elements/element.js";
import "../../elements/member-list.js";
import "../../elements/own-id.js";
import "../../elements/tab-list.js";
import "./add-panel.js";
import "./cart-actions.js";
import "./cart-head.js";
import { Desk } from "./desk.js";

const AWAY =
  "Not connected. You can go on: changes are kept on this device and sent when the connection is " +
  "back.";
const AWAY_UNKEPT =
  "Not connected. You can go on, but this browser keeps nothing: leave this page open until the " +
  "connection is back.";
const AWAY_AFTER_MS = 1_000;
/** Changes since the last visit that are counted; the history has all of them. */
const MISSED_MAX = 100;

/** `<cart-room>` with `app` and the `room`, which has been joined. */
export class CartRoom extends Element {
  app;
  room;
  #desk;
  #parts;
  #frame = new OnceAFrame(() => this.isConnected && this.#draw());
  /** Since when there is no connection, or null. */
  #awaySince = null;

  build() {
    this.#desk = new Desk(this.app, this.room, () => this.#soon());
    const desk = this.#desk;
    const parts = {
      head: h("cart-head", { desk }),
      viewing: h("p.notice.info", {}, "You may look at this cart, not change it."),
      away: h("p.away", { role: "status", hidden: true }),
      missed: h("p.notice.info.since", { hidden: true }),
      lines: h("cart-lines", { desk }),
      actions: h("cart-actions", { desk }),
      add: h("add-panel", { desk }),
      people: h("member-list", { desk }),
      past: h("cart-history", { desk }),
    };
    parts.peoplePanel = h("div.people-panel", {}, parts.people, h("own-id", { user: desk.me }));
    this.#parts = parts;
    this.classList.add("room");
    const { head, viewing, away, missed, lines, actions } = parts;
    const main = h(
      "section.cart.card",
      { "aria-label": "Cart" },
      [head, viewing, away, missed, lines, actions],
    );
    parts.tabs = this.#tabs(main);
    // Where the cart itself isn't in sight, its name is here. The rest comes a frame later.
    parts.name = h("h1.side-title", { tabindex: "-1" });
    parts.side = h("div.side.card", {}, parts.name);
    this.append(parts.tabs, main, parts.side);
    this.#followFocus(main);
  }

  connected() {
    const { room, app } = this;
    this.follow(room, "change", () => this.#soon());
    this.follow(room, "op", (entry) => this.#hear(entry));
    this.follow(room, "state", () => this.#parts.past.reset());
    this.follow(app.client, "undurable", () => this.#soon());
    this.follow(document, "visibilitychange", () => this.#soon());
    this.#desk.takePresence();
    this.#parts.head.draw(room.state); // The rest may take a frame more.
    this.#soon();
    this.#tellMissed();
  }

  disconnected() {
    delete document.body.dataset.beside;
    this.#frame.cancel();
    this.#desk.stop();
  }

  #tabs(main) {
    const { add, peoplePanel, past } = this.#parts;
    const choose = ({ detail }) => {
      this.dataset.tab = detail;
      document.body.dataset.beside = detail === "cart" ? "total" : "tabs";
      if (detail === "history") past.open();
      this.#soon();
    };
    main.id = "cart-beside";
    const tabs = h("tab-list", {
      name: "cart-side",
      label: "Parts of the cart",
      tabs: [
        { name: "cart", label: "Cart", icon: icon("cart"), panel: main },
        { name: "find", label: "Add", icon: icon("plus"), panel: add },
        { name: "people", label: "People", icon: icon("people"), panel: peoplePanel },
        { name: "history", label: "History", icon: icon("later"), panel: past },
      ],
      onchoose: choose,
    });
    main.addEventListener("find", () => {
      tabs.choose("find");
      add.focusSearch();
    });
    return tabs;
  }

  /** The line that has the focus is where we are. */
  #followFocus(main) {
    main.addEventListener("focusin", ({ target }) => {
      this.#desk.lookAt(target.closest("[data-line]")?.dataset.line ?? null);
    });
    main.addEventListener("focusout", ({ relatedTarget }) => {
      if (!relatedTarget) this.#desk.lookAt(null);
    });
  }

  #hear(entry) {
    this.#parts.past.hear(entry);
    if (!entry.own && entry.by !== this.#desk.me) {
      this.#parts.lines.mark(touchedLines(entry.op), entry.by);
    }
  }

  #soon() {
    this.#frame.soon();
  }

  #draw() {
    const { room } = this;
    const { state } = room;
    if (!state || room.closed) return;
    const { head, viewing, away, lines, actions, side, add, peoplePanel, people, past, tabs } =
      this.#parts;
    const first = !add.isConnected;
    if (first) side.append(add, peoplePanel, past);
    this.#desk.takePresence();
    const title = `${state.name} · Cartroom`;
    if (document.title !== title) document.title = title;
    setText(this.#parts.name, state.name);
    viewing.hidden = this.#desk.mayEdit;
    this.#showAway(away);
    head.draw(state);
    add.draw(state);
    if (tabs.chosen === "people") people.draw(state);
    if (tabs.chosen === "history") past.draw();
    tabs.count("cart", state.totals.pieces);
    tabs.count("people", state.members.length);
    if (first) {
      this.#soon(); // What stands beside the lines is work enough for one frame.
      return;
    }
    lines.draw(state);
    // They come after the first lines do, which would push them down.
    if (!lines.unmade || !actions.hidden) actions.draw(state);
  }

  /** A moment without a connection, or until the cart is joined again, isn't worth a word. */
  #showAway(away) {
    const { room, app } = this;
    if (room.status === "live" || app.client.status === "live") {
      this.#awaySince = null;
      away.hidden = true;
      return;
    }
    const now = performance.now();
    if (this.#awaySince === null) {
      this.#awaySince = now;
      setTimeout(() => this.#soon(), AWAY_AFTER_MS);
    }
    if (now - this.#awaySince < AWAY_AFTER_MS) return;
    setText(away, app.client.durable ? AWAY : AWAY_UNKEPT);
    away.hidden = false;
  }

  /** How many of the latest changes since then are others': what we did elsewhere is no news. */
  async #countMissed() {
    const { missed } = this.#desk;
    const { rev } = this.room;
    if (!missed.since) return 0;
    const page = { before: rev + 1, limit: Math.min(missed.since, MISSED_MAX) };
    try {
      const { ops } = await this.room.history(page);
      return ops.filter((entry) => missed.has(entry)).length;
    } catch (error) {
      console.warn("What was missed could not be asked", error);
      return 0;
    }
  }

  /** Say once how much others have changed since somebody was last here. */
  async #tellMissed() {
    const count = await this.#countMissed();
    if (!count || !this.isConnected) return;
    const { missed, tabs } = this.#parts;
    const more = this.#desk.missed.since > MISSED_MAX ? "+" : "";
    const what = count === 1 && !more ? "One change was" : `${count}${more} changes were`;
    const see = () => {
      missed.hidden = true;
      tabs.choose("history");
      tabs.querySelector("[aria-selected=true]").focus();
    };
    missed.replaceChildren(
      h("span", {}, `${what} made since you were last here.`),
      h("button.quiet.small", { type: "button", onclick: see }, "See what"),
    );
    missed.hidden = false;
  }
}

define("cart-room", CartRoom);
