/** Fields with a label above and their error beside, and forms that say what went wrong. */

import { h, uniqueId } from "./dom.js";

/**
 * A labelled field: `{element, input, setError}`. `control` makes it something else than an
 * `<input>`. `hint` is help below the field, part of its description.
 */
export function field(label, attributes, { hint, control = "input", options = [] } = {}) {
  const id = uniqueId("field");
  const error = h("p.field-error", { id: `${id}-error` });
  const help = hint ? h("p.field-hint", { id: `${id}-hint` }, hint) : null;
  const described = [help?.id, error.id].filter(Boolean).join(" ");
  const input = h(control, { id, "aria-describedby": described, ...attributes }, options);
  const setError = (text) => {
    error.textContent = text ?? "";
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  input.addEventListener("input", () => setError(""));
  const element = h("div.field", {}, h("label", { for: id }, label), input, help, error);
  return { element, input, setError };
}

/** What the browser's own checks say of a field, or "". */
function complaint(input) {
  return input.validity.valid ? "" : input.validationMessage;
}

/**
 * A form around `fields` ({name: field}). `send(values)` does the work; what it throws is shown,
 * at its field where `error.fields` names one. While it works the button waits.
 */
export function form(fields, { label, send, extra = [] }) {
  const error = h("p.form-error", { role: "alert" });
  const button = h("button.primary", { type: "submit" }, label);
  const names = Object.keys(fields);

  const check = () => {
    const wrong = names.filter((name) => {
      const text = complaint(fields[name].input);
      fields[name].setError(text);
      return text;
    });
    if (wrong.length) fields[wrong[0]].input.focus();
    return !wrong.length;
  };

  const fail = (problem) => {
    const known = names.filter((name) => problem.fields?.[name]);
    for (const name of known) fields[name].setError(problem.fields[name]);
    if (known.length) fields[known[0]].input.focus();
    else error.textContent = problem.message;
  };

  const submit = async (event) => {
    event.preventDefault();
    error.textContent = "";
    if (button.disabled || !check()) return;
    button.disabled = true;
    element.setAttribute("aria-busy", "true");
    try {
      await send(Object.fromEntries(names.map((name) => [name, fields[name].input.value])));
    } catch (problem) {
      fail(problem);
    } finally {
      button.disabled = false;
      element.removeAttribute("aria-busy");
    }
  };

  const controls = names.map((name) => fields[name].element);
  // The browser's bubbles vanish; our texts stay beside the field, in one style.
  const element = h("form", { novalidate: true, onsubmit: submit }, controls, extra, error, button);
  return element;
}
