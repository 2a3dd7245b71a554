/** A cart, live; or why it can't be seen. */

import { h } from "../app/dom.js";
import { OnceAFrame } from "../app/frames.js";
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
  #frame = new OnceAFrame(() => this.isConnected && this.#draw());

  connected() {
    const { client } = this.app;
    this.follow(client, "status", () => this.#draw());
    this.follow(client, "notification", (told) => this.#hear(told));
    const timer = setTimeout(() => {
      this.#patient = false;
      this.#draw();
    }, PATIENCE_MS);
    this.until(() => clearTimeout(timer));
    this.until(() => this.#stopFollowing());
    this.until(() => this.#frame.cancel());
    this.#open();
  }

  #stopFollowing = () => {};

  /** Who was removed is let in again, and needn't ask for the cart. */
  #hear({ kind, cart }) {
    if (kind === "cart.shared" && cart === this.argument && this.#room.closed) this.#open();
  }

  #open() {
    this.#stopFollowing();
    this.#room = this.app.open(this.argument);
    this.#stopFollowing = this.#room.on("change", () => this.#hearChange());
    this.#draw();
  }

  /** Hearing of a whole cart is work enough for one task: it is shown with the next frame. */
  #hearChange() {
    if (this.#room.state && this.#shown !== "open" && !this.#room.closed) this.#frame.soon();
    else this.#draw();
  }

  #draw() {
    const room = this.#room;
    if (room.status === "gone") this.#show("gone", () => goneCard(room.reason, room.role === "owner"));
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
    const active = document.activeElement;
    const reading = first || this.contains(active) || !active || active === document.body;
    this.replaceChildren(make());
    if (!reading) return;
    if (state === "open") this.#focusSoon();
    else this.#focusHeading();
  }

  /** Focusing has the browser lay out everything at once: a cart had better be drawn before. */
  #focusSoon() {
    const before = document.activeElement;
    const frame = requestAnimationFrame(() => {
      if (document.activeElement === before) this.#focusHeading();
    });
    this.until(() => cancelAnimationFrame(frame));
  }

  #focusHeading() {
    this.querySelector("h1")?.focus({ preventScroll: true });
  }
}

define("cart-view", CartView);
