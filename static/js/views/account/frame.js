/** What the views of one's own account have in common: where else to go, and the heading. */

import { h } from "../../app/dom.js";

const PAGES = [
  { href: "#/account", label: "Profile" },
  { href: "#/account/password", label: "Password", account: true },
  { href: "#/devices", label: "Devices" },
  { href: "#/account/data", label: "My data" },
];

/** Show `sections` in `root`, under the way to the other views of the account. */
export function showPage(root, app, title, ...sections) {
  const pages = PAGES.filter(({ account }) => !account || !app.user.guest);
  const links = pages.map(({ href, label }) => h("a", { href }, label));
  root.replaceChildren(
    h(
      "div.account-page",
      {},
      h("nav.subnav", { "aria-label": "My account" }, links),
      h("section.card.stack", {}, h("h1", { tabindex: "-1" }, title), sections[0]),
      sections.slice(1).map((section) => h("section.card.stack", {}, section)),
    ),
  );
}
