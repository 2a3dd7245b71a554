/** A heading with its lines below: those for one member, or those saved for later. */

import { h, setText } from "../app/dom.js";
import { define, Element } from "./element.js";
import { avatar } from "./user-avatar.js";

/**
 * `<line-group>` with `user` and `name`, for a group of somebody's lines. `title` and `sum` are
 * shown by `show`; `list` is where the lines go.
 */
export class LineGroup extends Element {
  user = "";
  name = "";
  list = h("div.lines", { role: "list" });
  #title = h("span.group-title", {});
  #sum = h("span.group-sum", {});

  build() {
    this.classList.add("group");
    if (this.user) this.dataset.for = this.user;
    const face = this.user && avatar(this.user, this.name);
    this.append(h("h2.group-head", {}, face || null, this.#title, this.#sum), this.list);
  }

  show(title, sum) {
    setText(this.#title, title);
    setText(this.#sum, sum);
    if (this.list.getAttribute("aria-label") !== title) this.list.setAttribute("aria-label", title);
  }
}

define("line-group", LineGroup);
