/** The faces of who is here now, one a person however many tabs they have open. */

import { h } from "../app/dom.js";
import { define, Element } from "./element.js";
import { avatar } from "./user-avatar.js";

const SHOWN_MAX = 5;

/** `<here-now>`, drawn by `show(people)`: `[{user, name, label}]`. */
export class HereNow extends Element {
  #drawn = "";

  build() {
    this.classList.add("faces");
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "Here now");
  }

  show(people) {
    const key = JSON.stringify(people);
    if (key === this.#drawn) return;
    this.#drawn = key;
    this.hidden = !people.length;
    // A "+1" takes as much room as the face that it stands for.
    const shown = people.length > SHOWN_MAX + 1 ? people.slice(0, SHOWN_MAX) : people;
    const rest = people.slice(shown.length).map(({ label }) => label);
    const more = h("span.avatar.more", { role: "img", "aria-label": rest.join(", ") });
    more.title = rest.join("\n");
    more.textContent = `+${rest.length}`;
    const faces = shown.map(({ user, name, label }) => avatar(user, name, label));
    this.replaceChildren(...faces, ...(rest.length ? [more] : []));
  }
}

define("here-now", HereNow);
