/** A note that is read in place, and edited in place by who may. */

import { h, setText } from "../app/dom.js";

const NOTE_MAX = 2_000;

/** `{element, update(text, mayEdit), open()}`; `save(text)` is told what was written. */
export function noteEditor(label, save) {
  const shown = h("span.note-text", {});
  const input = h("textarea", { rows: "2", maxlength: String(NOTE_MAX), "aria-label": label });
  const view = h("p.note", { hidden: true }, shown);
  let text = "";
  let opener = null;

  const close = () => {
    form.hidden = true;
    view.hidden = !text;
    if (opener?.isConnected) opener.focus();
  };
  const submit = (event) => {
    event.preventDefault();
    const wanted = input.value.trim();
    if (wanted !== text) save(wanted);
    close();
  };
  const form = h(
    "form.note-form",
    { hidden: true, onsubmit: submit },
    input,
    h(
      "div.note-actions",
      {},
      h("button.primary", { type: "submit" }, "Save"),
      h("button", { type: "button", onclick: close }, "Cancel"),
    ),
  );
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });

  return {
    element: h("div.note-box", {}, view, form),
    update(fresh, mayEdit) {
      text = fresh;
      setText(shown, text);
      if (!mayEdit) form.hidden = true;
      view.hidden = !text || !form.hidden;
    },
    open() {
      opener = document.activeElement;
      input.value = text;
      view.hidden = true;
      form.hidden = false;
      input.focus();
    },
  };
}
