/**
 * What the views have in common that somebody meets before they are signed in: the card, the
 * fields, and what was typed in them.
 */

import { h } from "../../app/dom.js";
import { Element } from "../../elements/element.js";
import { field, passwordField } from "../../elements/forms.js";
import "../../elements/loading-card.js";
import "../../elements/message-card.js";

export const PASSWORD_MIN = 8;
export const PASSWORD_HINT = `At least ${PASSWORD_MIN} characters. A long phrase counts in full.`;

/** What was typed, by field; it lives as long as nobody signs in, and in this page only. */
const typed = new Map();

/** Somebody signed in: what they typed is for nobody else. */
export function forgetTyped() {
  typed.clear();
}

/** Keep what is typed in a field under `key`, over other views and back. */
function kept(made, key) {
  const { input } = made;
  input.value = typed.get(key) ?? "";
  input.addEventListener("input", () => typed.set(key, input.value));
  return made;
}

/** The address by which somebody signs in. Managers of passwords know it by its `autocomplete`. */
export function emailField({ hint } = {}) {
  const attributes = {
    id: "email",
    name: "email",
    type: "email",
    required: true,
    autocomplete: "username",
    inputmode: "email",
    autocapitalize: "off",
    autocorrect: "off",
    spellcheck: "false",
    maxlength: "254",
  };
  return kept(field("E-mail", attributes, { hint }), "email");
}

export function nameField() {
  const attributes = {
    id: "name",
    name: "name",
    required: true,
    autocomplete: "name",
    maxlength: "100",
  };
  return kept(field("Name", attributes, { hint: "What others in a cart see." }), "name");
}

/** The password of an account that there is. */
export function currentPasswordField() {
  const attributes = { id: "current-password", autocomplete: "current-password" };
  return kept(passwordField("Password", attributes), "current-password");
}

/** A password to be chosen. */
export function newPasswordField(label = "Password") {
  const attributes = {
    id: "new-password",
    autocomplete: "new-password",
    minlength: String(PASSWORD_MIN),
    passwordrules: `minlength: ${PASSWORD_MIN};`,
  };
  return kept(passwordField(label, attributes, { hint: PASSWORD_HINT }), "new-password");
}

/**
 * The base of these views. They get `app` (null: nobody is signed in), what main.js lends as
 * `desk`, and what the address says beside the view's name as `argument`.
 */
export class EntryView extends Element {
  app = null;
  desk = null;
  argument = "";

  connected() {
    this.classList.add("entry-view");
  }

  /** Show a card: its heading, what is said first, and the rest. */
  card(title, ...content) {
    this.replaceChildren(h("div.card.entry", {}, h("h1", { tabindex: "-1" }, title), content));
  }

  /** Show a message, as `<message-card>` takes it, and have it read out. */
  message(props) {
    this.replaceChildren(h("message-card", { level: 1, ...props }));
    this.querySelector("h1").focus({ preventScroll: true });
  }

  /** Show that something is under way. */
  loading(heading) {
    this.replaceChildren(h("loading-card", { heading, rows: 1 }));
  }
}

/** A link that looks like a button. */
export function linkButton(href, label, selector = "a.button") {
  return h(selector, { href }, label);
}

/** Ways to other forms: `[question, href, label]` each, or nothing. */
export function elsewhere(...ways) {
  const lines = ways.filter(Boolean).map(([question, href, label]) => {
    return h("p", {}, `${question} `, h("a", { href }, label));
  });
  return h("div.elsewhere", {}, lines);
}

/** Why somebody meets this form, or nothing. */
export function noticeLine(notice) {
  return notice ? h("p.notice.info", { role: "status" }, notice) : null;
}

export const LEAD = "Fill one cart together, live: everyone sees every change at once.";
