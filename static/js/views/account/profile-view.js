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

const ADDRESS_UNKNOWN = "It is shown here once you are connected.";
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
  if (!user.email) return [h("h2", {}, "E-mail"), h("p.muted", {}, ADDRESS_UNKNOWN)];
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
  #address = h("div.stack", {});
  #shown = "";

  build() {
    const { user } = this.app;
    this.#showAddress(user);
    this.page("Profile", this.#form(user), this.#address);
  }

  connected() {
    this.until(this.desk.onUser((user) => this.#showAddress(user)));
    followUser(this, this.#choices);
  }

  /** Made anew only where it is another: a button keeps its focus and its answer. */
  #showAddress(user) {
    const shown = `${user.guest} ${user.email} ${user.confirmed}`;
    if (this.#shown === shown) return;
    this.#shown = shown;
    this.#address.replaceChildren(...addressPart(user).filter(Boolean));
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
