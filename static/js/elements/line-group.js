/**
 * A heading with its lines below: those for one member, or those saved for later. The lines stand
 * in blocks, so that the browser leaves out whole blocks that are out of sight.
 */

import { h } from "../app/dom.js";
import { define, Element } from "./element.js";
import { avatar } from "./user-avatar.js";

/** Lines a block. */
const BLOCK = 20;

/**
 * `<line-group>` with `user` and `name`, for a group of somebody's lines. `title` and `sum` are
 * shown by `show`; `place` puts the lines in.
 */
export class LineGroup extends Element {
  user = "";
  name = "";
  /** What was drawn last, for who draws. */
  drawn = { lines: [], made: 0 };
  #list = h("div.lines", { role: "list" });
  #shown = ["", ""];
  #title = h("span.group-title", {});
  #sum = h("span.group-sum", {});

  build() {
    this.classList.add("group");
    if (this.user) this.dataset.for = this.user;
    const face = this.user && avatar(this.user, this.name);
    this.append(h("h2.group-head", {}, face || null, this.#title, this.#sum), this.#list);
  }

  show(title, sum) {
    const before = this.#shown;
    this.#shown = [title, sum];
    if (sum !== before[1]) this.#sum.textContent = sum;
    if (title === before[0]) return;
    this.#title.textContent = title;
    this.#list.setAttribute("aria-label", title);
  }

  /** Have `elements` as lines, in this order; those that are no longer wanted have been removed. */
  place(elements) {
    const at = this.#inPlace(elements);
    if (at === null) this.#replace(elements);
    else for (const element of elements.slice(at)) this.#lastBlock().append(element);
    for (const block of [...this.#list.children]) {
      const { length } = block.children;
      if (!length) block.remove();
      else if (block.dataset.lines !== String(length)) {
        block.dataset.lines = String(length);
        block.style.setProperty("--lines", String(length));
      }
    }
  }

  /** How many lines stand where they should, if only some at the end are missing; else null. */
  #inPlace(elements) {
    let at = 0;
    for (const block of this.#list.children) {
      for (let child = block.firstElementChild; child; child = child.nextElementSibling) {
        if (child !== elements[at]) return null;
        at += 1;
      }
    }
    return at;
  }

  #lastBlock() {
    const last = this.#list.lastElementChild;
    if (last && last.children.length < BLOCK) return last;
    const block = h("div.line-block", { role: "presentation" });
    this.#list.append(block);
    return block;
  }

  #replace(elements) {
    const blocks = [];
    for (let at = 0; at < elements.length; at += BLOCK) {
      const block = h("div.line-block", { role: "presentation" });
      block.append(...elements.slice(at, at + BLOCK));
      blocks.push(block);
    }
    this.#list.replaceChildren(...blocks);
  }
}

define("line-group", LineGroup);
