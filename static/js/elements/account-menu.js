/** Who is signed in, and behind that: the account's views, light or dark, and the way out. */

import { h, icon, setText, uniqueId } from "../app/dom.js";
import { chooseTheme, chosenTheme, THEMES } from "../app/theme.js";
import { define, Element } from "./element.js";
import { attachPanel } from "./popover.js";
import { avatar } from "./user-avatar.js";

const PAGES = [
  { href: "#/account", label: "Profile", icon: "user" },
  { href: "#/account/mails", label: "Mails", icon: "mail", account: true },
  { href: "#/account/password", label: "Password", icon: "lock", account: true },
  { href: "#/devices", label: "Devices", icon: "devices" },
  { href: "#/account/data", label: "My data", icon: "data" },
];

/** A choice between light, dark, and what the system says. */
export function themeSwitch() {
  const name = uniqueId("theme");
  const choice = ({ value, label }) => {
    const onchange = () => chooseTheme(value);
    const checked = chosenTheme() === value;
    return h("label", {}, h("input", { type: "radio", name, value, checked, onchange }), label);
  };
  return h("fieldset.segmented", { "aria-label": "Appearance" }, THEMES.map(choice));
}

/**
 * `<account-menu>` with `user`, which may be set anew as long as it is the same person, and
 * `signOut()`.
 */
export class AccountMenu extends Element {
  signOut = () => {};
  #user = null;
  #button;
  #name = h("span.account-name", {});
  #guest = h("span.guest-mark", {}, "Guest");
  #who = h("div.account-who", {});
  #panel;

  get user() {
    return this.#user;
  }

  set user(user) {
    this.#user = user;
    if (this.#button) this.#show();
  }

  build() {
    this.#button = h("button.account-button", { type: "button" });
    this.#panel = h("div.account-panel", { onclick: (event) => this.#chosen(event) });
    attachPanel(this.#button, this.#panel);
    this.#panel.append(...this.#content());
    this.append(this.#button, this.#panel);
    this.#show();
  }

  #show() {
    const { id, name, email, guest } = this.#user;
    setText(this.#name, name);
    this.#guest.hidden = !guest;
    this.#button.replaceChildren(
      h("span.unseen", {}, "Your account: "),
      avatar(id, name),
      this.#name,
      this.#guest,
      icon("chevron"),
    );
    const address = h("span.muted", {}, guest ? "Here as a guest" : email);
    this.#who.replaceChildren(h("b", {}, name), address);
  }

  #content() {
    const pages = PAGES.filter(({ account }) => !account || !this.#user.guest);
    const link = ({ href, label, icon: mark }) => h("a.menu-item", { href }, icon(mark), label);
    const out = h("button.menu-item", { type: "button" }, icon("leave"), "Sign out");
    out.addEventListener("click", () => this.signOut());
    return [
      this.#who,
      h("nav.menu", { "aria-label": "Your account" }, pages.map(link)),
      h("div.menu-part", {}, themeSwitch()),
      h("div.menu-part", {}, out),
    ];
  }

  #chosen({ target }) {
    if (target.closest(".menu-item")) this.#panel.hidePopover();
  }
}

define("account-menu", AccountMenu);
