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
    this.follow(client, "notification", (told) => this.#hear(told));
    const timer = setTimeout(() => {
      this.#patient = false;
      this.#draw();
    }, PATIENCE_MS);
    this.until(() => clearTimeout(timer));
    this.until(() => this.#stopFollowing());
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

define("cart-view", CartView);
