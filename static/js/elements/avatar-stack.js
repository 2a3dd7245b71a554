/** A few people as overlapping avatars, and how many more there are. */

import { h } from "../app/dom.js";
import { define, Element } from "./element.js";
import { avatar } from "./user-avatar.js";

const SHOWN_MAX = 4;

/**
 * `<avatar-stack>` of `people` (`[{user, name}]`), of whom there are `count` in all. Decoration:
 * their names stand beside it.
 */
export class AvatarStack extends Element {
  #people = [];
  #count = 0;
  #shown = "";

  get people() {
    return this.#people;
  }

  set people(people) {
    this.#people = people;
    this.#show();
  }

  get count() {
    return this.#count;
  }

  set count(count) {
    this.#count = count;
    this.#show();
  }

  build() {
    this.classList.add("avatars");
    this.setAttribute("aria-hidden", "true");
    this.#show();
  }

  #show() {
    const rest = Math.max(this.#count, this.#people.length) - SHOWN_MAX;
    const some = this.#people.slice(0, rest > 0 ? SHOWN_MAX - 1 : SHOWN_MAX);
    const shown = JSON.stringify([some.map(({ user, name }) => [user, name]), rest]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.replaceChildren(
      ...some.map(({ user, name }) => avatar(user, name)),
      ...(rest > 0 ? [h("span.avatar.rest", {}, rest > 98 ? "99+" : `+${rest + 1}`)] : []),
    );
  }
}

define("avatar-stack", AvatarStack);
