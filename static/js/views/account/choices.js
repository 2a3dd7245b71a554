/**
 * What somebody chooses in a form about themselves, while the same may be chosen on another of their
 * devices: what they haven't touched follows that, and only what is another than known is sent.
 */

import { refreshUser, updateUser } from "../../app/session.js";

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Choices {
  #parts;
  /** By name, what the service has, as far as we know. */
  #known = {};
  /** By name, what was put into the form by us. */
  #shown = {};
  #afterwards;

  /**
   * `parts` by name: `of(user)` is what is chosen, `read()` what stands in the form, `show(value)`
   * puts it there. Values are such as JSON has them. `afterwards()` is called after that was done.
   */
  constructor(parts, user, afterwards = () => {}) {
    this.#parts = parts;
    this.#afterwards = afterwards;
    for (const name of Object.keys(parts)) this.#take(name, user);
    afterwards();
  }

  /** The user is known to be another than before. */
  learn(user) {
    for (const [name, { of, read }] of Object.entries(this.#parts)) {
      if (same(read(), this.#shown[name])) this.#take(name, user);
      else this.#known[name] = of(user);
    }
    this.#afterwards();
  }

  /** Have `send({name: value})` send what is another than known; it resolves with the user then. */
  async send(send) {
    const read = Object.entries(this.#parts).map(([name, part]) => [name, part.read()]);
    const sent = read.filter(([name, value]) => !same(value, this.#known[name]));
    const user = await send(Object.fromEntries(sent));
    for (const [name, value] of sent) {
      if (same(this.#parts[name].read(), value)) this.#shown[name] = value; // It is ours no more.
    }
    updateUser(user);
    this.learn(user);
  }

  #take(name, user) {
    const { of, read, show } = this.#parts[name];
    this.#known[name] = of(user);
    show(this.#known[name]);
    this.#shown[name] = read();
  }
}

/** Keep `choices` fresh as long as `view`, an `AccountView`, is in the page. */
export function followUser(view, choices) {
  view.until(view.desk.onUser((user) => choices.learn(user)));
  const look = async () => {
    if (document.hidden || !navigator.onLine) return;
    try {
      await refreshUser();
    } catch (error) {
      console.warn("What was chosen elsewhere could not be asked", error);
    }
  };
  view.follow(document, "visibilitychange", look);
  look();
}
