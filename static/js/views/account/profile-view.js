/** Who one is to others, and what one wants. */

import { changeProfile } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { define } from "../../elements/element.js";
import { field, form } from "../../elements/forms.js";
import { currencyOptions, localeOptions } from "../../elements/choices.js";
import { resendButton } from "../../elements/resend-mail.js";
import { updateUser } from "../../app/session.js";
import { tell } from "../../elements/toasts.js";
import { AccountView } from "./frame.js";

const CONFIRMED = { true: "Confirmed", false: "Not confirmed yet" };

function select(label, name, chosen, options, hint) {
  const made = field(label, { id: name, name }, { control: "select", options, hint });
  made.input.value = chosen ?? "";
  return made;
}

function profileForm(user) {
  const none = (text) => h("option", { value: "" }, text);
  const fields = {
    name: field(
      "Name",
      { id: "name", name: "name", required: true, autocomplete: "name", maxlength: "100" },
      { hint: "What others in a cart see." },
    ),
    locale: select(
      "Dates and amounts",
      "locale",
      user.locale,
      [none("As my browser does"), ...localeOptions(user.locale)],
      "How they are written here.",
    ),
    currency: select(
      "Currency",
      "currency",
      user.currency,
      [none("That of the products"), ...currencyOptions()],
      "What a new cart of yours begins with.",
    ),
  };
  fields.name.input.value = user.name;
  return form(fields, {
    label: "Save",
    busyLabel: "Saving…",
    attributes: { id: "profile" },
    send: async ({ name, locale, currency }) => {
      const changes = { name: name.trim(), locale: locale || null, currency: currency || null };
      updateUser(await changeProfile(changes));
      tell("Your profile is saved.");
    },
  });
}

function addressPart(user) {
  if (user.guest) {
    return [
      h("h2", {}, "You are a guest"),
      h("p", {}, "Your carts can be opened in this browser only, until you make an account."),
      h("p", {}, h("a.button.primary", { href: "#/register" }, "Create an account")),
    ];
  }
  return [
    h("h2", {}, "E-mail"),
    h(
      "p.address",
      {},
      h("b", {}, user.email),
      h(user.confirmed ? "span.badge.good" : "span.badge.warn", {}, CONFIRMED[user.confirmed]),
    ),
    user.confirmed ? null : h("p.muted", {}, "Open the link that we mailed you."),
    user.confirmed ? null : resendButton(),
  ];
}

/** `<profile-view>` */
export class ProfileView extends AccountView {
  build() {
    const { user } = this.app;
    this.page("Profile", profileForm(user), addressPart(user));
  }
}

define("profile-view", ProfileView);
