/**
 * What others did to the open cart, told: one by one while it is little, and in sum when it is
 * much. `names` as in `describe`.
 */

import { sentence } from "./describe.js";

const QUIET_MS = 150;
/** However much goes on, it is told after so long. */
const LONGEST_MS = 1_500;
/** After news in sum, time to read them. */
const REST_MS = 5_000;
/** Told one by one; more at once are summed up. */
const TOLD_MAX = 3;
const NAMED_MAX = 2;

/** Steps of one hand on one line are one change. */
const SUMMED = new Set(["change_quantity", "set_quantity", "note", "rename"]);

function joined(earlier, later) {
  if (later.op.kind !== "change_quantity") return later;
  return { ...later, op: { ...later.op, by: earlier.op.by + later.op.by } };
}

export class News {
  #names;
  #tell;
  #said = new Map();
  #count = 0;
  #people = new Set();
  #missed = 0;
  #timer = null;
  #first = 0;
  #restUntil = 0;

  /** `tell(text)` says a sentence. */
  constructor(names, tell) {
    this.#names = names;
    this.#tell = tell;
  }

  /** An op of somebody else, as a room tells it. */
  hear(entry) {
    if (entry.live) this.#add(entry);
    else this.#missed += 1;
    this.#soon();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #add(entry) {
    this.#count += 1;
    this.#people.add(entry.by);
    const { by, op } = entry;
    const key = SUMMED.has(op.kind) ? `${by} ${op.kind} ${op.line ?? ""}` : `${by} ${entry.rev}`;
    const earlier = this.#said.get(key);
    // What is no more than a sum isn't kept, however long it goes on.
    if (earlier) this.#said.set(key, joined(earlier, entry));
    else if (this.#said.size <= TOLD_MAX) this.#said.set(key, entry);
  }

  #soon() {
    const now = Date.now();
    if (this.#timer === null) this.#first = now;
    clearTimeout(this.#timer);
    const at = Math.max(Math.min(now + QUIET_MS, this.#first + LONGEST_MS), this.#restUntil);
    this.#timer = setTimeout(() => this.#tellAll(), at - now);
  }

  #tellAll() {
    this.#timer = null;
    const said = [...this.#said.values()].filter(({ op }) => op.by !== 0);
    const [count, people, missed] = [this.#count, [...this.#people], this.#missed];
    this.#said.clear();
    this.#people.clear();
    this.#count = 0;
    this.#missed = 0;
    if (missed === 1) this.#tell("One change was made while you were away.");
    if (missed > 1) this.#tell(`${missed} changes were made while you were away.`);
    if (said.length <= TOLD_MAX) {
      for (const entry of said) this.#tell(`${sentence(entry, this.#names)}.`);
    } else {
      this.#restUntil = Date.now() + REST_MS;
      this.#tell(`${this.#who(people)} made ${count} changes.`);
    }
  }

  #who(people) {
    const names = people.slice(0, NAMED_MAX).map((user) => this.#names.person(user) ?? "Somebody");
    const more = people.length - names.length;
    return more ? `${names.join(", ")} and ${more} more` : names.join(" and ");
  }
}
