/** The head of a cart: its name, who is here, the way to share it, and its note. */

import { h, icon, setText } from "../../app/dom.js";
import { define, Element } from "../../elements/element.js";
import "../../elements/here-now.js";
import "../../elements/note-editor.js";
import { shareDialog } from "../../elements/share-panel.js";
import "../../elements/title-editor.js";

/** `<cart-head>` with the `desk` of its cart, drawn by `draw(state)`. */
export class CartHead extends Element {
  desk;
  #parts;
  #drawn = [];

  build() {
    const { desk } = this;
    const title = h("title-editor", {
      onrename: ({ detail }) => desk.act({ kind: "rename", name: detail }),
    });
    const note = h("note-editor", {
      label: "Note on the cart",
      onnote: ({ detail }) => desk.act({ kind: "note", text: detail }),
    });
    const noteButton = h("button.quiet.small", { type: "button", onclick: () => note.open() });
    const here = h("here-now", {});
    const onclick = () => shareDialog(desk);
    const share = h("button.primary", { type: "button", onclick }, icon("share"), "Share");
    const people = h("button", { type: "button", onclick }, "Who is in it");
    this.#parts = { title, note, noteButton, here, share, people };
    this.append(
      h("div.cart-head", {}, title, here, share, people),
      h("div.cart-note", {}, note, noteButton),
    );
  }

  draw(state) {
    const { desk } = this;
    const now = [state.name, state.note, desk.presenceTurn, desk.owns, desk.mayEdit];
    if (now.every((each, at) => each === this.#drawn[at])) return;
    this.#drawn = now;
    const { title, note, noteButton, here, share, people } = this.#parts;
    title.name = state.name;
    title.editable = desk.mayEdit;
    here.show(desk.here.map((one) => ({ user: one.user, name: one.name, label: label(desk, one) })));
    share.hidden = !desk.owns;
    people.hidden = desk.owns;
    note.text = state.note ?? "";
    note.editable = desk.mayEdit;
    noteButton.hidden = !desk.mayEdit;
    setText(noteButton, state.note ? "Edit note" : "Add a note");
  }
}

function label(desk, { user, line }) {
  const name = line && user !== desk.me && desk.app.names.line(line);
  return name ? `${desk.named(user)}, on ${name}` : desk.named(user);
}

define("cart-head", CartHead);
