/**
 * Fields with a label above and their error beside, and forms that say what went wrong and lose
 * nothing of what was typed.
 */

import { h, setText, uniqueId } from "../app/dom.js";
import { duration, troubleText } from "../app/trouble.js";

const SLOW_MS = 4_000;
const SLOW = "Still waiting for the service…";
const KEPT = "What you typed is still here.";

/**
 * A labelled field: `{element, input, setError}`. `control` makes it something else than an
 * `<input>`. `hint` is help below the field, part of its description. `beside` stands next to the
 * input. An `id` among the attributes is kept, for those who fill forms by it.
 */
export function field(
  label,
  attributes,
  { hint, control = "input", options = [], beside = () => null } = {},
) {
  const id = attributes.id ?? uniqueId("field");
  const error = h("p.field-error", { id: `${id}-error` });
  const help = hint ? h("p.field-hint", { id: `${id}-hint` }, hint) : null;
  const described = [help?.id, error.id].filter(Boolean).join(" ");
  const input = h(control, { "aria-describedby": described, ...attributes, id }, options);
  const setError = (text) => {
    error.textContent = text ?? "";
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  input.addEventListener("input", () => setError(""));
  const companion = beside(input);
  const box = companion ? h("div.field-box", {}, input, companion) : input;
  const element = h("div.field", {}, h("label", { for: id }, label), box, help, error);
  return { element, input, setError };
}

/** A field for a password, with a button that shows it. `attributes` need an `autocomplete`. */
export function passwordField(label, attributes, options = {}) {
  return field(
    label,
    {
      type: "password",
      name: "password",
      required: true,
      autocapitalize: "off",
      autocorrect: "off",
      spellcheck: "false",
      maxlength: "1024",
      ...attributes,
    },
    { ...options, beside: showButton },
  );
}

function showButton(input) {
  const button = h("button.quiet", { type: "button" });
  const show = (shown) => {
    input.type = shown ? "text" : "password";
    const verb = shown ? "Hide" : "Show";
    setText(button, verb);
    button.setAttribute("aria-label", `${verb} what is typed`);
  };
  button.addEventListener("click", () => show(input.type === "password"));
  // What is sent as plain text would be remembered as such by the browser.
  queueMicrotask(() => input.form?.addEventListener("submit", () => show(false)));
  show(false);
  return button;
}

/** A box to tick: as `field`; its value is true or false. */
export function checkbox(label, { hint, ...attributes }) {
  const made = field(label, { type: "checkbox", ...attributes }, { hint });
  made.element.classList.add("field-check");
  return made;
}

/**
 * A choice of few, all of them in sight: as `field`; its value is that of the one that is chosen.
 * `choices` are `{value, label, hint?}`; `name` is the field's.
 */
export function radios(label, name, choices) {
  const error = h("p.field-error", { id: `${name}-error` });
  const inputs = choices.map(({ value, hint }) =>
    h("input", {
      ...{ type: "radio", id: `${name}-${value}`, name, value },
      "aria-describedby": hint ? `${name}-${value}-hint` : undefined,
    }),
  );
  const rows = choices.map(({ value, label: text, hint }, at) =>
    h(
      "div.field-check",
      {},
      inputs[at],
      h("label", { for: `${name}-${value}` }, text),
      hint ? h("p.field-hint", { id: `${name}-${value}-hint` }, hint) : null,
    ),
  );
  const input = {
    type: "radio",
    validity: { valid: true },
    get value() {
      return inputs.find(({ checked }) => checked)?.value ?? "";
    },
    set value(value) {
      for (const each of inputs) each.checked = each.value === value;
    },
    focus: () => inputs.find(({ checked }) => checked)?.focus(),
  };
  const element = h("fieldset.field.radios", {}, h("legend.label", {}, label), rows, error);
  return { element, input, setError: (text) => (error.textContent = text ?? "") };
}

/** What the browser's own checks say of a field, or "". */
function complaint(input) {
  return input.validity.valid ? "" : input.validationMessage;
}

function valueOf(input) {
  return input.type === "checkbox" ? input.checked : input.value;
}

/** A form's button, which says what goes on. */
class SubmitButton {
  #label;
  #busyLabel;
  #timer = null;

  constructor(label, { busyLabel = label, danger = false }) {
    this.#label = label;
    this.#busyLabel = busyLabel;
    this.element = h(danger ? "button.danger" : "button.primary", { type: "submit" }, label);
  }

  /** Whether it would do nothing now. Not `disabled`, which would throw the focus away. */
  get off() {
    return this.element.getAttribute("aria-disabled") === "true";
  }

  start() {
    this.#set(true, this.#busyLabel);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#set(false, this.#label);
  }

  /** Stay off for so long, and say how long it is. */
  wait(seconds) {
    const until = Date.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      if (left <= 0 || !this.element.isConnected) this.stop();
      else this.#set(true, `${this.#label} in ${duration(left)}`);
    };
    clearInterval(this.#timer);
    this.#timer = setInterval(tick, 1000);
    tick();
  }

  get waits() {
    return this.#timer !== null;
  }

  #set(off, text) {
    if (off) this.element.setAttribute("aria-disabled", "true");
    else this.element.removeAttribute("aria-disabled");
    setText(this.element, text);
  }
}

/**
 * A form around `fields` ({name: field}). `send(values)` does the work; what it throws is shown,
 * at its field where `error.fields` names one. While it works the button waits, and says
 * `busyLabel`; `danger`: it can't be undone. `ask()`
 * resolves with whether to go on. `before` and `extra` are elements around the fields,
 * `attributes` the form's own.
 */
export function form(fields, { label, send, ask, before, extra, attributes = {}, ...looks }) {
  const error = h("p.form-error", { role: "alert" });
  const progress = h("p.form-progress", { role: "status" });
  const button = new SubmitButton(label, looks);
  const names = Object.keys(fields);

  const check = () => {
    const wrong = names.filter((name) => {
      const text = complaint(fields[name].input);
      fields[name].setError(text);
      return text;
    });
    fields[wrong[0]]?.input.focus();
    return !wrong.length;
  };

  /** Where no answer came, somebody may fear for what they have typed. */
  const kept = ({ status }) => (status === 0 && names.length ? [KEPT] : []);

  const fail = (problem) => {
    if (!problem.code) console.error(problem); // A fault of the page.
    const told = problem.fields ?? {};
    const known = names.filter((name) => told[name]);
    for (const name of known) fields[name].setError(told[name]);
    fields[known[0]]?.input.focus();
    const others = Object.keys(told).filter((name) => !fields[name]);
    if (others.length) error.textContent = others.map((name) => `${name}: ${told[name]}`).join(" ");
    else if (!known.length) error.textContent = [troubleText(problem), ...kept(problem)].join(" ");
    if (problem.retryAfterS) button.wait(problem.retryAfterS);
  };

  const work = async () => {
    const slow = setTimeout(() => setText(progress, SLOW), SLOW_MS);
    button.start();
    element.setAttribute("aria-busy", "true");
    try {
      await send(Object.fromEntries(names.map((name) => [name, valueOf(fields[name].input)])));
      button.stop();
    } catch (problem) {
      button.stop();
      fail(problem);
    } finally {
      clearTimeout(slow);
      setText(progress, "");
      element.removeAttribute("aria-busy");
    }
  };

  const submit = async (event) => {
    event.preventDefault();
    if (button.off) return;
    error.textContent = "";
    if (!check() || (ask && !(await ask()))) return;
    await work();
  };

  // Another address may be let in at once: the wait was for what was sent.
  const onchange = (event) => {
    if (button.waits && event.target.type !== "password") button.stop();
  };

  const controls = names.map((name) => fields[name].element);
  // The browser's bubbles vanish; our texts stay beside the field, in one style.
  const element = h(
    "form",
    { method: "post", novalidate: true, onsubmit: submit, onchange, ...attributes },
    before,
    controls,
    extra,
    error,
    progress,
    button.element,
  );
  return element;
}
