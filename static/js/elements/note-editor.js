/** A note that is read in place, and written in place by who may. */

import { h, setText } from "../app/dom.js";
import { define, Element } from "./element.js";

const NOTE_MAX = 2_000;
/** A note of more letters, or more lines, is shown whole only where that is asked for. */
const SHORT_MAX = 240;
const LINES_MAX = 5;

/**
 * `<note-editor>` with `label`, `text` and `editable`; `open()` lets it be written. Tells `note`
 * (detail: what was written). What it needs to write is made when it is first wanted.
 */
export class NoteEditor extends Element {
  label = "";
  #text = "";
  #editable = false;
  #view = h("p.note", { hidden: true });
  #long = false;
  #all = false;
  /** Shows all of a long one, or its beginning again. */
  #more = null;
  #form = null;
  #input;
  #opener = null;

  get text() {
    return this.#text;
  }

  set text(text) {
    this.#text = text;
    setText(this.#view, text);
    this.#long = text.length > SHORT_MAX || text.split("\n").length > LINES_MAX;
    if (this.#long) this.#more ??= this.#makeMore();
    this.#show();
  }

  set editable(editable) {
    this.#editable = editable;
    this.#show();
  }

  build() {
    this.classList.add("note-box");
    this.append(this.#view);
    if (this.#more) this.#view.after(this.#more);
  }

  open() {
    this.#opener = document.activeElement;
    if (!this.#form) this.#makeForm();
    this.#input.value = this.#text;
    this.#form.hidden = false;
    this.#show();
    this.#input.focus();
  }

  #makeMore() {
    const toggle = () => {
      this.#all = !this.#all;
      this.#show();
    };
    const more = h("button.quiet.small.note-more", { type: "button", onclick: toggle });
    this.#view.after(more);
    return more;
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
    if (this.#more) this.#showMore();
    this.toggleAttribute("data-writing", writing);
    this.hidden = this.#view.hidden && !writing;
  }

  #showMore() {
    this.#view.classList.toggle("short", this.#long && !this.#all);
    this.#more.hidden = !this.#long || this.#view.hidden;
    this.#more.setAttribute("aria-expanded", String(this.#all));
    setText(this.#more, this.#all ? "Show less" : "Show all of it");
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
