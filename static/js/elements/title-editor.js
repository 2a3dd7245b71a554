/** The cart's name as a heading, renamed in place. */

import { h, icon, setText } from "../app/dom.js";
import { define, Element } from "./element.js";

const NAME_MAX = 200;
/** A longer one is written smaller. */
const SHORT_MAX = 48;

/** `<title-editor>` with `name` and `editable`. Tells `rename` (detail: the new name). */
export class TitleEditor extends Element {
  #name = "";
  #heading = h("h1", { tabindex: "-1" });
  #button = h(
    "button.icon-button",
    {
      type: "button",
      "aria-label": "Rename the cart",
      title: "Rename the cart",
      onclick: () => this.#open(),
    },
    icon("note"),
  );
  #view = h("div.title-view", {}, this.#heading, this.#button);
  #input = h("input", {
    "aria-label": "Name of the cart",
    maxlength: String(NAME_MAX),
    required: true,
    autocomplete: "off",
  });
  #form = h(
    "form.title-form",
    {
      hidden: true,
      onsubmit: (event) => this.#submit(event),
      onkeydown: (event) => event.key === "Escape" && this.#close(),
    },
    this.#input,
    h("button.primary", { type: "submit" }, "Save"),
    h("button", { type: "button", onclick: () => this.#close() }, "Cancel"),
  );

  get name() {
    return this.#name;
  }

  set name(name) {
    this.#name = name;
    setText(this.#heading, name);
    this.#view.classList.toggle("long", name.length > SHORT_MAX);
  }

  set editable(editable) {
    this.#button.hidden = !editable;
    if (!editable && !this.#form.hidden) this.#close();
  }

  build() {
    this.classList.add("title");
    this.append(this.#view, this.#form);
  }

  #open() {
    this.#input.value = this.#name;
    this.#view.hidden = true;
    this.#form.hidden = false;
    this.#input.select();
  }

  #close() {
    this.#form.hidden = true;
    this.#view.hidden = false;
    this.#button.focus();
  }

  #submit(event) {
    event.preventDefault();
    const wanted = this.#input.value.trim();
    this.#close();
    if (wanted && wanted !== this.#name) this.tell("rename", wanted);
  }
}

define("title-editor", TitleEditor);
