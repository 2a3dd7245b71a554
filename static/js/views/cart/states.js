/** What stands in the place of a cart that isn't open: yet, or any more. */

import { h } from "../../app/dom.js";
import { errorCard } from "../../elements/message-card.js";

/** By reason: heading, text, and the card's mark. */
const GONE = {
  deleted: ["This cart was deleted", "Its owner deleted it; nobody can open it any more.", "remove"],
  left: ["You left this cart", "Its owner can let you in again.", "leave"],
  merged: ["You have signed in", "What you added as a guest is in your account's cart.", "check"],
  removed: [
    "You are no longer in this cart",
    "Its owner removed you. What was added for you stays in it.",
    "leave",
  ],
  not_found: [
    "There is no such cart for you",
    "It doesn't exist, or you are not one of its members. Its owner can let you in.",
    "lock",
  ],
};
const OWN_DELETED = "You deleted it; nobody can open it any more.";

const toCarts = (look = "a.button") => h(look, { href: "#/carts" }, "My carts");

/** The cart is no longer ours to see, for `reason`; `owned`: it was ours. */
export function goneCard(reason, owned) {
  const closed = ["This cart is closed", "It can't be opened any more.", "lock"];
  const [heading, text, mark] = GONE[reason] ?? closed;
  return h("message-card.gone", {
    ...{ level: 1, mark, heading, actions: [toCarts("a.button.primary")] },
    text: owned && reason === "deleted" ? OWN_DELETED : text,
  });
}

/** It could not be opened; `again()` tries it anew. */
export function failedCard(error, again) {
  const text = error?.message ?? "";
  return errorCard("This cart could not be opened", text, again, { level: 1, others: [toCarts()] });
}

/** There is no connection, and nothing of this cart is kept here; `again()` tries at once. */
export function unreachedCard(again) {
  const text = navigator.onLine
    ? "The service can't be reached right now. The cart opens by itself as soon as it can."
    : "You are offline. The cart opens by itself as soon as the connection is back.";
  const button = h("button.primary", { type: "button", onclick: again }, "Try now");
  const actions = [button, toCarts()];
  return h("message-card.unreached", { kind: "wait", level: 1, heading: "Not connected", text, actions });
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
