/** Coming in without an account, by a name alone. */

import { enterAsGuest } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { form } from "../../elements/forms.js";
import { nameField, noticeLine, showCard } from "./frame.js";

/** `enter(ask)` lets them in by `ask()`. */
export function showGuest(root, { notice, enter }) {
  const comeIn = form(
    { name: nameField() },
    {
      label: "Continue as guest",
      busyLabel: "Letting you in…",
      attributes: { id: "guest" },
      send: (values) => enter(() => enterAsGuest(values)),
    },
  );
  showCard(
    root,
    "Continue as guest",
    h(
      "p.lead",
      {},
      "Fill carts in this browser without an account. You can make one later and keep them.",
    ),
    noticeLine(notice),
    comeIn,
    h(
      "div.elsewhere",
      {},
      h("p", {}, "Have an account? ", h("a", { href: "#/signin" }, "Sign in")),
      h("p", {}, "New here? ", h("a", { href: "#/register" }, "Create an account")),
    ),
  );
}
