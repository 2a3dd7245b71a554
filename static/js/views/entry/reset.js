/** A mailed link that sets a new password. */

import { completeReset } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { form } from "../../elements/forms.js";
import { forgetTyped, newPasswordField, showCard } from "./frame.js";

/** The link is used up, too old, or was never one. */
function spent(error) {
  return error.status >= 400 && error.status < 500 && error.status !== 429 && !error.fields.password;
}

function showSpent(root) {
  showCard(
    root,
    "This link no longer works",
    h(
      "p",
      {},
      "It may have been used, a newer one may have been mailed, or its 30 minutes are over.",
    ),
    h("p", {}, h("a.button", { href: "#/reset" }, "Mail me a new link")),
  );
  root.querySelector("h1").focus({ preventScroll: true });
}

/** `token` is that of the link. `done(notice)` is called once the password is set. */
export function showReset(root, { done }, token) {
  const reset = form(
    { password: newPasswordField("New password") },
    {
      label: "Set new password",
      busyLabel: "Setting it…",
      attributes: { id: "reset" },
      send: async ({ password }) => {
        try {
          await completeReset(token, password);
        } catch (error) {
          if (!spent(error)) throw error;
          showSpent(root);
          return;
        }
        forgetTyped();
        done("Your new password is set, and you are signed out everywhere. Sign in with it.");
      },
    },
  );
  showCard(
    root,
    "Choose a new password",
    h("p.lead", {}, "You will be signed out on all devices, and sign in anew with it."),
    reset,
  );
}
