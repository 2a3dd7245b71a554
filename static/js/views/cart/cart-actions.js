/** What can be done with a cart as a whole. */

import { h, icon } from "../../app/dom.js";
import { confirmed } from "../../elements/dialogs.js";
import { define, Element } from "../../elements/element.js";
import { changeMuted } from "../../elements/muting.js";

/** A button that asks before it acts. */
function asking(selector, label, { title, text, action, act }) {
  const onclick = async () => {
    if (await confirmed(title, text, action)) act();
  };
  return h(selector, { type: "button", onclick }, label);
}

/** `<cart-actions>` with the `desk` of its cart, drawn by `draw(state)`, and hidden until then. */
export class CartActions extends Element {
  desk;
  #clear;
  #mute;
  #leave;
  #remove;

  build() {
    const { desk } = this;
    this.classList.add("cart-actions");
    this.#clear = asking("button.quiet", "Empty cart", {
      title: "Empty the cart?",
      text: "All lines are removed for everybody. What is saved for later stays.",
      action: "Empty it",
      act: () => desk.act({ kind: "clear" }),
    });
    this.#mute = h("button.quiet", { type: "button", onclick: () => this.#changeMuted() });
    this.#leave = asking("button.quiet", "Leave cart", {
      title: "Leave this cart?",
      text: "You will no longer see this cart. What was added for you stays in it.",
      action: "Leave",
      act: () => desk.act({ kind: "unshare", user: desk.me }),
    });
    this.#remove = asking("button.quiet.delete", "Delete cart", {
      title: "Delete this cart?",
      text: "It is deleted for all its members. This can't be taken back.",
      action: "Delete",
      act: () => desk.act({ kind: "delete" }),
    });
    this.append(this.#mute, this.#clear, this.#leave, this.#remove);
    this.hidden = true;
  }

  connected() {
    const { carts } = this.desk.app;
    this.follow(carts, "change", () => this.#drawMuted());
    carts.seek(this.desk.room.cart);
    this.#drawMuted();
  }

  get #muted() {
    return Boolean(this.desk.app.carts.get(this.desk.room.cart)?.muted);
  }

  #changeMuted() {
    const { app, room } = this.desk;
    changeMuted(app.carts, { cart: room.cart, name: room.state.name }, !this.#muted);
  }

  #drawMuted() {
    const muted = this.#muted;
    if (this.#mute.dataset.muted === String(muted)) return;
    this.#mute.dataset.muted = muted;
    this.#mute.replaceChildren(icon(muted ? "muted" : "bell"), muted ? "Unmute cart" : "Mute cart");
  }

  draw(state) {
    this.hidden = false;
    const had = this.#clear === document.activeElement;
    this.#clear.hidden = !this.desk.mayEdit || !state.lines.length;
    this.#leave.hidden = this.desk.owns;
    this.#remove.hidden = !this.desk.owns;
    if (had && this.#clear.hidden) (this.desk.owns ? this.#remove : this.#leave).focus();
  }
}

define("cart-actions", CartActions);
