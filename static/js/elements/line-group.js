/**
 * A heading with its lines below: those for one member, or those saved for later. The lines stand
 * in blocks, so that the browser leaves out whole blocks that are out of sight.
 */

import { h } from "../app/dom.js";
import { OnceAFrame } from "../app/frames.js";
import { define, Element } from "./element.js";
import { avatar } from "./user-avatar.js";

/** Lines a block. */
const BLOCK = 8;
/** So much of the window's height beside it is near. */
const NEAR = "100%";

/** Blocks that come near are near from then on, and so is what comes into them. */
const watch = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) approach(target);
  },
  { rootMargin: `${NEAR} 0px` },
);

/** Blocks that the browser leaves out. */
const skipped = new WeakSet();

function follow({ target, skipped: isSkipped }) {
  if (isSkipped) skipped.add(target);
  else skipped.delete(target);
}

/** Whether the browser draws a line, as far as it has told; asking it would make it lay all out. */
export function inSight(line) {
  return !skipped.has(line.parentElement);
}

function approach(block) {
  watch.unobserve(block);
  block.dataset.near = "";
  for (const line of block.children) undressed.add(line);
  dressing.soon();
}

/** Lines that have come near, and get their controls for so long a frame. */
const DRESSING_MS = 2;
const undressed = new Set();
const dressing = new OnceAFrame(() => {
  const until = performance.now() + DRESSING_MS;
  for (const line of undressed) {
    undressed.delete(line);
    line.dress();
    if (performance.now() > until) break;
  }
  if (undressed.size) dressing.soon();
});

/**
 * `<line-group>` with `user` and `name`, for a group of somebody's lines. `title` and `sum` are
 * shown by `show`; `place` puts the lines in.
 */
export class LineGroup extends Element {
  user = "";
  name = "";
  /** Whether new blocks are near without a look: so they are where there are few lines. */
  near = true;
  /** What was drawn last, for who draws. */
  drawn = { lines: [], made: 0, behind: 0 };
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

  /** Have `elements` as lines, in this order. */
  place(elements) {
    const at = this.#inPlace(elements);
    if (at === null) this.#replace(elements);
    else for (const element of elements.slice(at)) this.#append(element);
    for (const block of [...this.#list.children]) {
      const { length } = block.children;
      if (!length) block.remove();
      else if (block.dataset.lines !== String(length)) {
        block.dataset.lines = String(length);
        block.style.setProperty("--lines", String(length));
      }
    }
  }

  /**
   * How many lines stand where they should, if only some at the end are missing; else null. Those
   * that belong to another group by now are taken out.
   */
  #inPlace(elements) {
    let wanted = null;
    let at = 0;
    for (const block of this.#list.children) {
      for (const child of [...block.children]) {
        if (child === elements[at]) {
          at += 1;
          continue;
        }
        wanted ??= new Set(elements);
        if (wanted.has(child)) return null;
        child.remove();
      }
    }
    return at;
  }

  #append(element) {
    const last = this.#list.lastElementChild;
    const block = last && last.children.length < BLOCK ? last : this.#newBlock();
    block.append(element);
    if ("near" in block.dataset) element.dress();
  }

  #newBlock() {
    const block = h("div.line-block", { role: "presentation" });
    block.addEventListener("contentvisibilityautostatechange", follow);
    this.#list.append(block);
    if (this.near) block.dataset.near = "";
    else watch.observe(block);
    return block;
  }

  #replace(elements) {
    const blocks = [...this.#list.children];
    for (const element of elements) this.#append(element);
    for (const block of blocks) if (!block.children.length) block.remove();
  }
}

define("line-group", LineGroup);
