/** The faces of who is here now, one a person however many tabs they have open. */

import { h, setText } from "../app/dom.js";
import { define, Element } from "./element.js";
import { avatar } from "./user-avatar.js";

const SHOWN_MAX = 5;

/** `<here-now>`, drawn by `show(people)`: `[{user, name, label}]`. */
export class HereNow extends Element {
  #faces = new Map();
  #more = h("span.avatar.more", { role: "img" });

  build() {
    this.classList.add("faces");
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "Here now");
  }

  show(people) {
    // A "+1" takes as much room as the face that it stands for.
    const shown = people.length > SHOWN_MAX + 1 ? people.slice(0, SHOWN_MAX) : people;
    const rest = people.slice(shown.length).map(({ label }) => label);
    const users = new Set(shown.map(({ user }) => user));
    for (const user of this.#faces.keys()) if (!users.has(user)) this.#faces.delete(user);
    const faces = shown.map((person) => this.#face(person));
    if (rest.length) {
      setText(this.#more, `+${rest.length}`);
      setLabel(this.#more, rest.join("\n"));
      faces.push(this.#more);
    }
    this.hidden = !people.length;
    const placed = [...this.children];
    const same = placed.length === faces.length && faces.every((face, at) => face === placed[at]);
    if (!same) this.replaceChildren(...faces);
  }

  /** Somebody's face stays the same element; where they are may change often. */
  #face({ user, name, label }) {
    if (!this.#faces.has(user)) this.#faces.set(user, avatar(user, name, label));
    const face = this.#faces.get(user);
    setLabel(face, label);
    return face;
  }
}

function setLabel(element, label) {
  if (element.title === label) return;
  element.title = label;
  element.setAttribute("aria-label", label);
}

define("here-now", HereNow);
