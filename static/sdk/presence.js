/** Who is in a room, and what we tell the others of ourselves. */

function keyOf({ user, client }) {
  return `${user} ${client}`;
}

export class Presence {
  /** `{user, client, data}` by user and client. */
  members = new Map();

  #cart;
  #connection;
  #data = null;

  constructor(cart, connection) {
    this.#cart = cart;
    this.#connection = connection;
  }

  /** What we look at; told now if we are `live`, and by `tell` after each join. */
  set(data, live) {
    if (JSON.stringify(data) === JSON.stringify(this.#data)) return;
    this.#data = data;
    if (live) this.tell();
  }

  tell() {
    if (this.#data === null) return;
    const fields = { cart: this.#cart, data: this.#data };
    this.#connection.paced("presence.set", fields).catch((error) => {
      // It is told again on the next change or join; nothing depends on it.
      if (!error.temporary) console.warn("Presence was refused", error);
    });
  }

  replace(members) {
    this.members = new Map(members.map((member) => [keyOf(member), member]));
  }

  change({ joined = [], left = [], changed = [] }) {
    for (const member of [...joined, ...changed]) this.members.set(keyOf(member), member);
    for (const member of left) this.members.delete(keyOf(member));
  }
}
