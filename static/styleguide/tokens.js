/** The tokens, as the style sheet of the page says them: nothing is said twice. */

import { h } from "../js/app/dom.js";

const SHEET = "/css/tokens.css";
const NOT_SWATCHES = new Set(["--shade", "--shade-deep", "--backdrop"]);

/** The names of the tokens, in the sheet's order. */
function tokenNames() {
  const sheet = [...document.styleSheets].find(({ href }) => href?.endsWith(SHEET));
  const [root] = [...sheet.cssRules].filter(({ selectorText }) => selectorText === ":root");
  return [...root.style].filter((name) => name.startsWith("--"));
}

function valueOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function varying(selector, property, name, ...children) {
  const element = h(selector, {}, ...children);
  element.style.setProperty(property, `var(${name})`);
  return element;
}

function row(name, shown) {
  const value = valueOf(name);
  return h("div.scale-row", {}, h("code", {}, name), shown, h("span.muted", {}, value));
}

function rows(names, show) {
  return h("div.scale", {}, names.map((name) => row(name, show(name))));
}

function swatch(name) {
  return h("div.swatch", {}, varying("div.swatch-colour", "background", name), h("code", {}, name));
}

/** `[{id, title, content}]` */
export function tokenParts() {
  const names = tokenNames();
  const like = (pattern) => names.filter((name) => pattern.test(name));
  const colours = names.filter((name) => {
    return CSS.supports("color", valueOf(name)) && !NOT_SWATCHES.has(name);
  });
  const bar = (name) => varying("div.scale-bar", "width", name);
  const text = (name) => varying("span.scale-text", "font-size", name, "A cart for everybody");
  return [
    { id: "colours", title: "Colours", content: h("div.swatches", {}, colours.map(swatch)) },
    { id: "type", title: "Type", content: rows(like(/^--(text-(small|base|large)|title)/), text) },
    { id: "space", title: "Space", content: rows(like(/^--space/), bar) },
    {
      id: "shape",
      title: "Shape",
      content: [
        rows(like(/^--radius/), (name) => varying("div.scale-box", "border-radius", name)),
        rows(like(/^--shadow/), (name) => varying("div.scale-box", "box-shadow", name)),
      ],
    },
    { id: "sizes", title: "Controls", content: rows(like(/^--(control|header)/), bar) },
    { id: "motion", title: "Motion", content: rows(like(/^--(quick|calm|slow|ease)/), () => null) },
  ];
}
