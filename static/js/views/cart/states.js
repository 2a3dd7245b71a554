/** What stands in the place of a cart that isn't open: yet, or any more. */

import { h } from "../../app/dom.js";

const GONE = {
  deleted: ["This cart was deleted", "Its owner deleted it; nobody can open it any more."],
  left: ["You left this cart", "Its owner can let you in again."],
  merged: ["You have signed in", "What you added as a guest is in your account's cart."],
  removed: [
    "You are no longer in this cart",
    "Its owner removed you. What was added for you stays in it.",
  ],
  not_found: [
    "There is no such cart for you",
    "It doesn't exist, or you are not one of its members. Its owner can let you in.",
  ],
};

function card(kind, title, text, ...ways) {
  return h(
    `div.card.stand-in.${kind}`,
    {},
    h("h1", { tabindex: "-1" }, title),
    h("p.muted", {}, text),
    h("div.actions", {}, ways),
  );
}

const toCarts = (look = "a.button") => h(look, { href: "#/carts" }, "My carts");

/** The cart is no longer ours to see, for `reason`. */
export function goneCard(reason) {
  const [title, text] = GONE[reason] ?? ["This cart is closed", "It can't be opened any more."];
  return card("gone", title, text, toCarts("a.button.primary"));
}

/** It could not be opened; `again()` tries it anew. */
export function failedCard(error, again) {
  const button = h("button.primary", { type: "button", onclick: again }, "Try again");
  return card("failed", "This cart could not be opened", error?.message ?? "", button, toCarts());
}

/** There is no connection, and nothing of this cart is kept here; `again()` tries at once. */
export function unreachedCard(again) {
  const text = navigator.onLine
    ? "The service can't be reached right now. The cart opens by itself as soon as it can."
    : "You are offline. The cart opens by itself as soon as the connection is back.";
  const button = h("button.primary", { type: "button", onclick: again }, "Try now");
  return card("unreached", "Not connected", text, button, toCarts());
}

/** The shape of what is coming. */
export function loadingCard() {
  const row = () =>
    h(
      "div.shape-line",
      {},
      h("div.skeleton.shape-name", {}),
      h("div.skeleton.shape-steps", {}),
      h("div.skeleton.shape-sum", {}),
    );
  return h(
    "div.card.loading",
    { "aria-busy": "true" },
    h("h1", { tabindex: "-1" }, "Opening the cart…"),
    h("div", { "aria-hidden": "true" }, Array.from({ length: 5 }, row)),
  );
}
