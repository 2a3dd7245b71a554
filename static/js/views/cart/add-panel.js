/** Finding products and adding them to a cart, for the member who is chosen. */

import { h } from "../../app/dom.js";
import { piecesBySku } from "../../app/pieces.js";
import { define, Element } from "../../elements/element.js";
import { offerMembers } from "../../elements/member-choice.js";
import "../../elements/product-finder.js";

/** `<add-panel>` with the `desk` of its cart, drawn by `draw(state)`. */
export class AddPanel extends Element {
  desk;
  #viewing = h("p.notice.info", {}, "Only editors add products to this cart.");
  #select = h("select", { id: "for-member" });
  #forWhom;
  #find;
  #pieces = new Map();
  #drawn = [];

  build() {
    this.#forWhom = h("div.for-member", {}, h("label", { for: "for-member" }, "Add for"), this.#select);
    const target = {
      ready: () => this.desk.mayEdit,
      count: (sku) => this.#pieces.get(sku) ?? 0,
      add: (product, qty) => this.#add(product, qty),
    };
    this.#find = h("product-finder", { target, extra: this.#forWhom });
    this.append(this.#viewing, this.#find);
  }

  focusSearch() {
    this.#find.focus();
  }

  draw(state) {
    const now = [state.lines, state.members, this.desk.mayEdit];
    if (now.every((each, at) => each === this.#drawn[at])) return;
    this.#drawn = now;
    this.#pieces = piecesBySku(state);
    this.#viewing.hidden = this.desk.mayEdit;
    this.#forWhom.hidden = !this.desk.mayEdit;
    offerMembers(this.#select, state.members, this.desk.me);
    this.#find.refresh();
  }

  async #add(product, qty) {
    const items = [{ sku: product.sku, qty, for: this.#select.value }];
    return (await this.desk.act({ kind: "add", items }, [product])) !== null;
  }
}

define("add-panel", AddPanel);
