/** A person as a coloured disc with initials. The colour comes from the id, the same everywhere. */

import { h } from "../dom.js";

const HUES = 8;

function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters
    .map((word) => Array.from(word)[0] ?? "")
    .join("")
    .toUpperCase();
}

function hue(user) {
  let sum = 0;
  for (const letter of user) sum = (sum * 31 + letter.codePointAt(0)) % 65_521;
  return sum % HUES;
}

/** `label` is read out in place of the initials; without one the name beside it is enough. */
export function avatar(user, name, label) {
  const props = label
    ? { role: "img", "aria-label": label, title: label }
    : { "aria-hidden": "true" };
  return h(`span.avatar.hue-${hue(user)}`, props, initials(name || "?"));
}
