/** The style guide: the tokens as the style sheet has them, and the examples of every element. */

import { h } from "../js/app/dom.js";
import { themeSwitch } from "../js/elements/account-menu.js";
import { NAMES } from "./examples.js";
import { tokenParts } from "./tokens.js";

/** A part of the guide, put into the page, and the way to it. */
function addPart(id, title, content = []) {
  const link = h("a", { href: `#${id}` }, title);
  const element = h("section.guide-part", { id, "aria-label": title }, h("h2", {}, title), content);
  document.getElementById("contents").append(link);
  view.append(element);
  return element;
}

/** Made in its place: some elements are drawn as soon as they are in the page. */
function addExample(element, name, { make, bare }) {
  const stage = h(bare ? "div.example-stage.bare" : "div.example-stage", {});
  element.append(h("div.example", {}, h("h3", {}, name), stage));
  stage.append(make());
}

async function addExamples(element, name) {
  const { examples } = await import(`./examples/${name}.js`);
  for (const [state, given] of Object.entries(examples)) {
    addExample(element, state, typeof given === "function" ? { make: given } : given);
  }
}

const view = document.getElementById("view");
document.getElementById("theme").append(themeSwitch());
for (const { id, title, content } of tokenParts()) addPart(id, title, content);
const parts = NAMES.map((name) => [addPart(name, name.includes("-") ? `<${name}>` : name), name]);
await Promise.all(parts.map(([element, name]) => addExamples(element, name)));
view.removeAttribute("aria-busy");
// The parts weren't there yet when the browser looked for what the address names.
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
