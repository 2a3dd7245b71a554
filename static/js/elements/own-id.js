/** Somebody's own id, to be copied and given to who lets them in. */

import { h } from "../app/dom.js";
import { define, Element } from "./element.js";

/** `<own-id>` with `user`, the id. */
export class OwnId extends Element {
  user = "";
  #told = h("span.copied", { role: "status" });
  #code;

  build() {
    this.classList.add("own-id-box");
    this.#code = h("code.own-id", { tabindex: "0" }, this.user);
    const copy = h("button", { type: "button", onclick: () => this.#copy() }, "Copy");
    this.append(
      h("span.label", {}, "Your own id"),
      h("div.own-id-row", {}, this.#code, copy),
      this.#told,
    );
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.user);
      this.#told.textContent = "Copied";
    } catch {
      // No clipboard without permission or a secure page: mark it, so that Ctrl+C takes it.
      getSelection().selectAllChildren(this.#code);
      this.#told.textContent = "Press Ctrl+C to copy";
    }
  }
}

define("own-id", OwnId);
