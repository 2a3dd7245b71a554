/** The cart's name as a heading, renamed in place. */

import { h, icon, setText } from "../app/dom.js";

const NAME_MAX = 200;

/** `{element, update(name, mayEdit)}`; `save(name)` is told a new one. */
export function titleEditor(save) {
  let name = "";
  const heading = h("h1", { tabindex: "-1" });
  const input = h("input", {
    "aria-label": "Name of the cart",
    maxlength: String(NAME_MAX),
    required: true,
    autocomplete: "off",
  });
  const close = () => {
    form.hidden = true;
    view.hidden = false;
    button.focus();
  };
  const button = h(
    "button.icon-button",
    {
      type: "button",
      "aria-label": "Rename the cart",
      title: "Rename the cart",
      onclick: () => {
        input.value = name;
        view.hidden = true;
        form.hidden = false;
        input.select();
      },
    },
    icon("note"),
  );
  const view = h("div.title-view", {}, heading, button);
  const form = h(
    "form.title-form",
    {
      hidden: true,
      onsubmit: (event) => {
        event.preventDefault();
        const wanted = input.value.trim();
        if (wanted && wanted !== name) save(wanted);
        close();
      },
    },
    input,
    h("button.primary", { type: "submit" }, "Save"),
    h("button", { type: "button", onclick: close }, "Cancel"),
  );
  form.addEventListener("keydown", (event) => event.key === "Escape" && close());
  return {
    element: h("div.title", {}, view, form),
    update(fresh, mayEdit) {
      name = fresh;
      setText(heading, name);
      button.hidden = !mayEdit;
    },
  };
}
