import { h } from "../../js/app/dom.js";
import { emptyCard, errorCard } from "../../js/elements/message-card.js";

const again = () => {};

export const examples = {
  "Nothing there yet": () =>
    emptyCard(
      "No carts yet",
      "Make one, and let others in.",
      h("button.primary", { type: "button" }, "New cart"),
    ),
  "It went wrong": () => errorCard("Your carts can't be shown", "The service did not answer.", again),
  "No connection": () =>
    h("message-card", {
      kind: "wait",
      heading: "Not connected",
      text: "You are offline. This page tries again by itself.",
    }),
  "It is done": () =>
    h("message-card", { kind: "done", heading: "Your address is confirmed", text: "Welcome." }),
};
