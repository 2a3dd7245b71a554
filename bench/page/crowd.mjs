/**
 * Members who edit one cart, each by a socket and a library of their own: what they do is drawn
 * from a seed, when is up to the machine.
 */

import WebSocket from "ws";

import { Cartroom, MemoryStore } from "../../static/sdk/cartroom.js";

const PASSWORD = "correct horse battery";
const CURRENCY = "EUR";

/** Random numbers from a seed: mulberry32. */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function product(at) {
  const amount = 100 + ((at * 137) % 9_000);
  return { sku: `SKU-${at}`, name: `Thing number ${at}`, price: { amount, currency: CURRENCY } };
}

/** Make an account: `{user, token, email, password}`. */
export async function register(url, name) {
  const email = `${name.toLowerCase().replaceAll(" ", ".")}@bench.example`;
  const answer = await fetch(`${url}/api/v1/auth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name, email, password: PASSWORD }),
  });
  if (!answer.ok) throw new Error(`${name} was not registered: ${await answer.text()}`);
  const { user, access_token: token } = await answer.json();
  return { user, token, email, password: PASSWORD };
}

/** Somebody with an account, connected. */
export class Member {
  done = 0;
  refused = new Map();
  #editing = null;

  static async arrive(url, name) {
    const member = new Member();
    Object.assign(member, await register(url, name));
    const socket = url.replace(/^http/, "ws");
    member.client = new Cartroom({
      url: `${socket}/ws`,
      token: () => member.token,
      WebSocket,
      store: new MemoryStore(),
    });
    const live = new Promise((resolve) => member.client.on("live", resolve));
    member.client.start();
    await live;
    return member;
  }

  async join(cart) {
    this.room = this.client.room(cart);
    if (this.room.status === "live") return;
    await new Promise((resolve, reject) => {
      this.room.on("change", () => this.room.status === "live" && resolve());
      this.room.on("gone", reject);
      this.room.on("failed", reject);
    });
  }

  /** Edit until `stop`, about every `everyMs`. */
  edit(random, everyMs, linesWanted) {
    const next = () => {
      this.#act(random, linesWanted);
      this.#editing = setTimeout(next, everyMs * (0.5 + random()));
    };
    this.#editing = setTimeout(next, everyMs * random());
  }

  stop() {
    clearTimeout(this.#editing);
    this.room.setPresence({});
  }

  async send(op) {
    try {
      await this.room.op(op);
      this.done += 1;
    } catch (error) {
      // Others were faster: the line has gone, or is where it was to be moved to.
      this.refused.set(error.code, (this.refused.get(error.code) ?? 0) + 1);
    }
  }

  #act(random, linesWanted) {
    const { lines, saved } = this.room.state;
    const pick = (list) => list[Math.floor(random() * list.length)];
    const line = pick(lines);
    if (random() < 0.5) this.room.setPresence({ line: line.line });
    const dice = random();
    const few = lines.length + saved.length < linesWanted;
    if (few && dice < 0.3) {
      const at = Math.floor(random() * linesWanted);
      this.send({ kind: "add", items: [{ sku: `SKU-${at}`, qty: 1 }] });
    } else if (saved.length > 10 || (saved.length && dice < 0.03)) {
      this.send({ kind: "move_to_cart", line: pick(saved).line });
    } else if (dice < 0.06) this.send({ kind: "save_for_later", line: line.line });
    else if (dice < 0.12) this.send({ kind: "remove", line: line.line });
    else if (dice < 0.2) {
      this.send({ kind: "note", line: line.line, text: `Note ${Math.floor(random() * 1000)}` });
    } else if (dice < 0.35) {
      this.send({ kind: "set_quantity", line: line.line, qty: 1 + Math.floor(random() * 20) });
    } else this.send({ kind: "change_quantity", line: line.line, by: random() < 0.8 ? 1 : 2 });
  }
}

/** A cart of `lines` lines, spread over `members`; its id. */
export async function fillCart(owner, members, lines) {
  const { cart } = await owner.client.createCart({ name: "A large cart", currency: CURRENCY });
  await owner.join(cart);
  const users = members.map(({ user }) => ({ user: user.id, role: "editor" }));
  await owner.room.op({ kind: "share", users });
  await Promise.all(members.map((member) => member.join(cart)));
  const items = members.map(() => []);
  for (let at = 0; at < lines; at += 1) {
    items[at % members.length].push({ sku: `SKU-${at}`, qty: 1 + (at % 5) });
  }
  await Promise.all(members.map(({ room }, at) => room.op({ kind: "add", items: items[at] })));
  return cart;
}
