/**
 * What a room shows: the committed cart with our waiting changes on it, each counted once, and lines
 * whose ids were foretold followed to the ids that they get.
 */

import { provisionalLine } from "./entry.js";
import { predict } from "./optimism.js";

/** Op_ids of the latest ops, and ids of lines that had another one, that are remembered. */
const RECENT_MAX = 500;
const ALIASES_MAX = 2_000;

/** The oldest go first. */
function bound(collection, size) {
  for (const key of collection.keys()) {
    if (collection.size <= size) return;
    collection.delete(key);
  }
}

export class View {
  #cart;
  #outbox;
  /** The op_ids of the latest ops that the committed cart holds. */
  #recent = new Set();
  /** Numbers of this client up to `n` are in the committed cart, or won't ever be. */
  #numbered = { client: null, n: 0 };
  /** Changes with their answer, whose revs are yet to come: `{entry, rev, lines}`. */
  #answered = [];
  #aliases = new Map();
  #keys = new Map();
  #cached = null;
  #former = null;

  constructor(cart, outbox) {
    this.#cart = cart;
    this.#outbox = outbox;
  }

  get recent() {
    return [...this.#recent];
  }

  /** `{state, touched}` as of `predict`, on the committed cart at `rev`. */
  of(committed, rev, limits) {
    this.#cached ??= this.#predict(committed, rev, limits);
    return this.#cached;
  }

  /** Something changed; it is worked out anew when somebody looks. */
  renew() {
    this.#cached = null;
  }

  /** Start over with a cart whose latest ops were `recent`. */
  reset(recent = []) {
    this.#recent = new Set(recent);
    this.#numbered = { client: null, n: 0 };
    this.#answered = [];
    this.#aliases.clear();
    this.#keys.clear();
    this.#former = null;
    this.renew();
  }

  /** The service says what the last number of our client in this cart is. We may be another by now. */
  numbered(n = 0) {
    const { client } = this.#outbox;
    const before = this.#numbered.client === client ? this.#numbered.n : 0;
    this.#numbered = { client, n: Math.max(before, n) };
    this.renew();
  }

  /** An op was applied to what was `before`; whether it is a change of ours that waited for that. */
  applied(opId, effect, before) {
    this.renew();
    if (!opId) return false;
    this.#recent.add(opId);
    bound(this.#recent, RECENT_MAX);
    const answered = this.#answered.find(({ entry }) => entry.opId === opId);
    const entry = answered?.entry ?? this.#outbox.find(this.#cart, opId);
    if (entry) this.#learnLines(entry, effect, before);
    return Boolean(entry);
  }

  /** A change of ours is answered; where earlier ops are missing it stays in sight until its rev. */
  answered(entry, { rev, op }) {
    const lines = (entry.op.items ?? []).map((_, item) => entry.lineOf(item, op));
    this.#answered.push({ entry, rev, lines });
    this.renew();
  }

  /** The id of a line that was foretold under another one. */
  lineOf(line) {
    return this.#aliases.get(line) ?? line;
  }

  keyOf(line) {
    return this.#keys.get(line) ?? line;
  }

  #predict(committed, rev, limits) {
    this.#answered = this.#answered.filter((answered) => answered.rev > rev);
    const entries = this.#answered.map(({ entry, lines }) => {
      const { op, opId, products } = entry;
      return { op, opId, products, lines };
    });
    const held = new Set();
    for (const entry of this.#outbox.entries(this.#cart)) {
      if (this.#holds(entry)) held.add(entry.op.line);
      else entries.push(entry);
    }
    if (!committed || !entries.length) {
      this.#former = committed;
      return { state: committed, touched: held };
    }
    const context = { user: this.#outbox.user.id, limits, former: this.#former };
    const { state, touched } = predict(committed, entries, context);
    this.#former = state;
    return { state, touched: new Set([...touched, ...held]) };
  }

  /** Whether the committed cart holds, or may hold, a change that still waits for its answer. */
  #holds({ opId, n, doubtful, ledger }) {
    if (n === null || doubtful || this.#recent.has(opId)) return true;
    return ledger.client === this.#numbered.client && n <= this.#numbered.n;
  }

  #learnLines(entry, effect, before) {
    const known = new Set([...before.lines, ...before.saved].map(({ line }) => line));
    for (const item of entry.op.items?.keys() ?? []) {
      const line = entry.lineOf(item, effect);
      if (line === null) continue;
      const foretold = provisionalLine(entry.opId, item);
      this.#aliases.set(foretold, line);
      if (!known.has(line) && !this.#keys.has(line)) this.#keys.set(line, foretold);
    }
    bound(this.#aliases, ALIASES_MAX);
    bound(this.#keys, ALIASES_MAX);
  }
}
