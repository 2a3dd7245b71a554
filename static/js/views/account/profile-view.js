/** Who one is to others, and what one wants. */

import { changeProfile } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { define } from "../../elements/element.js";
import { field, form } from "../../elements/forms.js";
import { currencyOptions, localeOptions } from "../../elements/choices.js";
import { resendButton } from "../../elements/resend-mail.js";
import { tell } from "../../elements/toasts.js";
import { Choices, followUser } from "./choices.js";
import { AccountView } from "./frame.js";

const CONFIRMED = { true: "Confirmed", false: "Not confirmed yet" };

function select(label, name, options, hint) {
  return field(label, { id: name, name }, { control: "select", options, hint });
}

function fieldsFor(user) {
  const none = (text) => h("option", { value: "" }, text);
  const locales = [none("As my browser does"), ...localeOptions(user.locale)];
  const currencies = [none("That of the products"), ...currencyOptions()];
  return {
    name: field(
      "Name",
      { id: "name", name: "name", required: true, autocomplete: "name", maxlength: "100" },
      { hint: "What others in a cart see." },
    ),
    locale: select("Dates and amounts", "locale", locales, "How they are written here."),
    currency: select("Currency", "currency", currencies, "What a new cart of yours begins with."),
  };
}

/** What a list shows of a choice; one that was made in another browser may not be in it. */
function choice({ input }, name) {
  return {
    of: (user) => user[name] ?? null,
    read: () => input.value || null,
    show(value) {
      input.value = value ?? "";
      if ((value ?? "") === input.value) return;
      input.append(h("option", { value }, value));
      input.value = value;
    },
  };
}

function partsOf({ name, locale, currency }) {
  return {
    name: {
      of: (user) => user.name,
      read: () => name.input.value.trim(),
      show: (value) => (name.input.value = value),
    },
    locale: choice(locale, "locale"),
    currency: choice(currency, "currency"),
  };
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
  #choices;

  build() {
    const { user } = this.app;
    this.page("Profile", this.#form(user), addressPart(user));
  }

  connected() {
    followUser(this, this.#choices);
  }

  #form(user) {
    const fields = fieldsFor(user);
    this.#choices = new Choices(partsOf(fields), user);
    return form(fields, {
      label: "Save",
      busyLabel: "Saving…",
      attributes: { id: "profile" },
      send: async () => {
        await this.#choices.send(changeProfile);
        tell("Your profile is saved.");
      },
    });
  }
}

define("profile-view", ProfileView);
