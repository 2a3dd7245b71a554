/** A person as a coloured disc with initials. The colour comes from the id, the same everywhere. */

import { h } from "../app/dom.js";
import { define, Element } from "./element.js";

const HUES = 8;

function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters
    .map((word) => Array.from(word)[0] ?? "")
    .join("")
    .toUpperCase();
}

/** Which of the eight hues is somebody's. */
export function hueOf(user) {
  let sum = 0;
  for (const letter of user) sum = (sum * 31 + letter.codePointAt(0)) % 65_521;
  return sum % HUES;
}

/**
 * `<user-avatar>`, with `user` (the id), `name` and perhaps `label`, which is read out in place of
 * the initials; without one the name beside it is enough.
 */
export class UserAvatar extends Element {
  user = "";
  name = "";
  label = "";

  build() {
    this.classList.add("avatar", `hue-${hueOf(this.user)}`);
    if (this.label) {
      this.setAttribute("role", "img");
      this.setAttribute("aria-label", this.label);
      this.title = this.label;
    } else {
      this.setAttribute("aria-hidden", "true");
    }
    this.textContent = initials(this.name || "?");
  }
}

define("user-avatar", UserAvatar);

/** An avatar; see `UserAvatar`. */
export function avatar(user, name, label = "") {
  return h("user-avatar", { user, name, label });
}
