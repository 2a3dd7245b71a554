/** What the service keeps about somebody: have it, or have it gone. */

import { deleteAccount, exportData } from "../../app/accounts.js";
import { confirmed } from "../../elements/dialogs.js";
import { h, setText } from "../../app/dom.js";
import { define } from "../../elements/element.js";
import { form, passwordField } from "../../elements/forms.js";
import { troubleText } from "../../app/trouble.js";
import { usernameFor } from "./password-view.js";
import { AccountView } from "./frame.js";

/** How long a browser may take to begin saving. */
const KEPT_MS = 10_000;
const FILE = "cartroom-my-data.json";

function saveFile(blob) {
  const href = URL.createObjectURL(blob);
  h("a", { href, download: FILE }).click();
  setTimeout(() => URL.revokeObjectURL(href), KEPT_MS);
}

function exportPart() {
  const told = h("p.finder-status", { role: "status" });
  const take = async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    setText(told, "Collecting it…");
    try {
      saveFile(await exportData());
      setText(told, `Saved as ${FILE}.`);
    } catch (error) {
      setText(told, troubleText(error));
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };
  const button = h("button", { type: "button", onclick: take }, "Export my data");
  return [
    h("p.muted", {}, "Everything that we keep about you, as one file."),
    h("p", {}, button),
    told,
  ];
}

const CONSEQUENCES = [
  "You are signed out everywhere, and can't sign in again.",
  "Carts of yours that nobody else is in are deleted.",
  "A cart that you own with others goes to one of them.",
  "What you added to shared carts stays there, as that of a former member.",
  "Your name, address, password and choices are erased.",
];

function deletePart(app, endBy) {
  const { user } = app;
  const fields = user.guest
    ? {}
    : {
        password: passwordField("Your password", {
          id: "delete-password",
          autocomplete: "current-password",
        }),
      };
  const remove = form(fields, {
    label: "Delete my account",
    busyLabel: "Deleting it…",
    danger: true,
    before: user.guest ? [] : usernameFor(user),
    attributes: { id: "delete-account" },
    ask: () => confirmed("Delete your account?", "This can't be taken back.", "Delete it for good"),
    send: ({ password }) =>
      endBy(() => deleteAccount(password), "Your account is deleted.", { forget: true }),
  });
  return [
    h("h2", {}, "Delete my account"),
    h("p.warning", {}, h("b", {}, "This can't be taken back.")),
    h(
      "ul.consequences",
      {},
      CONSEQUENCES.map((text) => h("li", {}, text)),
    ),
    remove,
  ];
}

/** `<data-view>`; `desk.endBy(act, notice)` does what ends the sign-in. */
export class DataView extends AccountView {
  build() {
    this.page("My data", exportPart(), deletePart(this.app, this.desk.endBy));
  }
}

define("data-view", DataView);
