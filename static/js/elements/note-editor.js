/** A note that is read in place, and written in place by who may. */

import { h, setText } from "../app/dom.js";
import { define, Element } from "./element.js";

const NOTE_MAX = 2_000;

/**
 * `<note-editor>` with `label`, `text` and `editable`; `open()` lets it be written. Tells `note`
 * (detail: what was written). What it needs to write is made when it is first wanted.
 */
export class NoteEditor extends Element {
  label = "";
  #text = "";
  #editable = false;
  #view = h("p.note", { hidden: true });
  #form = null;
  #input;
  #opener = null;

  get text() {
    return this.#text;
  }

  set text(text) {
    this.#text = text;
    setText(this.#view, text);
    this.#show();
  }

  set editable(editable) {
    this.#editable = editable;
    this.#show();
  }

  build() {
    this.classList.add("note-box");
    this.append(this.#view);
  }

  open() {
    this.#opener = document.activeElement;
    if (!this.#form) this.#makeForm();
    this.#input.value = this.#text;
    this.#form.hidden = false;
    this.#show();
    this.#input.focus();
  }

  #makeForm() {
    this.#input = h("textarea", {
      rows: "2",
      maxlength: String(NOTE_MAX),
      "aria-label": this.label,
    });
    const close = () => this.#close();
    this.#form = h(
      "form.note-form",
      { hidden: true, onsubmit: (event) => this.#submit(event), onkeydown: (e) => this.#key(e) },
      this.#input,
      h(
        "div.note-actions",
        {},
        h("button.primary", { type: "submit" }, "Save"),
        h("button", { type: "button", onclick: close }, "Cancel"),
      ),
    );
    this.append(this.#form);
  }

  #show() {
    if (this.#form && !this.#editable) this.#form.hidden = true;
    const writing = Boolean(this.#form && !this.#form.hidden);
    this.#view.hidden = !this.#text || writing;
    this.toggleAttribute("data-writing", writing);
    this.hidden = this.#view.hidden && !writing;
  }

  #close() {
    this.#form.hidden = true;
    this.#show();
    if (this.#opener?.isConnected) this.#opener.focus();
  }

  #submit(event) {
    event.preventDefault();
    const wanted = this.#input.value.trim();
    this.#close();
    if (wanted !== this.#text) this.tell("note", wanted);
  }

  #key(event) {
    if (event.key === "Escape") this.#close();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
  }
}

define("note-editor", NoteEditor);
