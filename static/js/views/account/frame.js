/** What the views of one's own account have in common: where else to go, and the heading. */

import { h } from "../../app/dom.js";
import { Element } from "../../elements/element.js";

const PAGES = [
  { href: "#/account", label: "Profile" },
  { href: "#/account/mails", label: "Mails", account: true },
  { href: "#/account/password", label: "Password", account: true },
  { href: "#/devices", label: "Devices" },
  { href: "#/account/data", label: "My data" },
];

/** The base of these views, for who is signed in: they get `app`, and main.js's `desk`. */
export class AccountView extends Element {
  app = null;
  desk = null;
  argument = "";

  /** Show `sections`, a card each, under the way to the other views of the account. */
  page(title, ...sections) {
    const pages = PAGES.filter(({ account }) => !account || !this.app.user.guest);
    const links = pages.map(({ href, label }) => h("a", { href }, label));
    const [first, ...others] = sections;
    this.classList.add("account-page");
    this.replaceChildren(
      h("nav.subnav", { "aria-label": "My account" }, links),
      h("section.card.stack", {}, h("h1", { tabindex: "-1" }, title), first),
      ...others.map((section) => h("section.card.stack", {}, section)),
    );
  }
}
