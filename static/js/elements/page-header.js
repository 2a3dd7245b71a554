/** The page's head: where to go, the connection's state, and who is signed in. */

import { h, icon } from "../app/dom.js";
import "./account-menu.js";
import "./connection-state.js";
import { define, Element } from "./element.js";
import "./notification-bell.js";

const PLACES = [
  { href: "#/carts", label: "My carts" },
  { href: "#/products", label: "Products" },
];

/**
 * `<page-header>` with `app`, or null while nobody is signed in, and `signOut()`. `user` is taken
 * from `app`; `learned()` says that it has changed.
 */
export class PageHeader extends Element {
  app = null;
  signOut = () => {};
  #account = null;

  build() {
    const mark = h("span.brand-mark", {}, icon("cart"));
    this.append(h("a.brand", { href: "#/" }, mark, h("span.brand-name", {}, "Cartroom")));
    if (this.app) this.#buildFor(this.app);
    else this.#buildForNobody();
  }

  learned() {
    if (this.#account) this.#account.user = this.app.user;
  }

  #buildFor({ client, unread, user }) {
    const links = PLACES.map(({ href, label }) => h("a", { href }, label));
    this.#account = h("account-menu", { user, signOut: this.signOut });
    this.append(
      h("nav.main-nav", { "aria-label": "Main" }, links),
      h("connection-state", { client }),
      h("notification-bell", { unread }),
      this.#account,
    );
  }

  #buildForNobody() {
    this.append(h("div.head-end", {}, h("a.button.quiet", { href: "#/signin" }, "Sign in")));
  }
}

define("page-header", PageHeader);
