/** One schedule: two tabs on a bad network, what they do, and what must be true at its end. */

import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";

import { makeOp, makePlan } from "./plan.mjs";
import { random } from "./random.mjs";
import { Witness } from "./service.mjs";
import { Browser, Session, Tab } from "./tab.mjs";
import { Tally } from "./tally.mjs";

const ANSWER_PATIENCE_MS = 200;
const MOMENT_MAX_MS = 15;
const POLL_MS = 20;
/** How long tabs wait for an answer, at least, and in answers of now: the machine may be busy. */
const PATIENCE_MIN_MS = 1_000;
const PATIENCE_MAX_MS = 15_000;
const PATIENCE_ANSWERS = 8;
/** Refusals that nothing in a schedule gives reason for. */
const NEVER = new Set(["bad_request", "conflict", "internal", "too_large", "unauthorized"]);

/** Run the schedule of a seed. Throws an Error that tells what was wrong with it. */
export async function runSchedule({ seed, sdk, server, proxy, cast, counts, deadlineMs }) {
  const schedule = new Schedule({ seed, sdk, server, proxy, cast, counts, deadlineMs });
  try {
    await schedule.run();
    counts.schedules += 1;
  } catch (error) {
    throw new Error(`CARTROOM_SEED=${seed} had this outcome: ${error.message}`, { cause: error });
  } finally {
    schedule.end();
  }
}

class Schedule {
  #seed;
  #sdk;
  #server;
  #proxy;
  #cast;
  #counts;
  #deadlineMs;
  #plan;
  #tally;
  #cart;
  #witness;
  #tabs = [];
  #lanes = [];
  #browsers = [];
  #all = [];
  /** What was asked: `{tab, op, opId, outcome?}`. */
  #asked = [];
  /** Refusals told by event, by op id. */
  #rejected = new Map();
  /** The cart at each rev, as the first tab to get there had it. */
  #seen = new Map();
  #problems = [];

  constructor({ seed, sdk, server, proxy, cast, counts, deadlineMs }) {
    this.#seed = seed;
    this.#sdk = sdk;
    this.#server = server;
    this.#proxy = proxy;
    this.#counts = counts;
    this.#deadlineMs = deadlineMs;
    this.#tally = new Tally(counts);
    this.#plan = makePlan(seed);
    const [owner, other] = cast;
    this.#cast = { owner, other };
  }

  async run() {
    this.#witness = await Witness.arrive(this.#server, this.#cast.owner);
    await this.#prepare();
    for (const step of this.#plan.steps) await this.#take(step);
    await this.#settle();
    await this.#judge();
    this.#problems.push(...this.#tally.problems, ...this.#all.flatMap((tab) => tab.problems));
    if (this.#problems.length) throw new Error([...new Set(this.#problems)].join("\n  "));
  }

  end() {
    for (const tab of this.#tabs) if (tab.alive) tab.die();
    for (const lane of this.#lanes) this.#proxy.remove(lane);
    this.#witness?.leave();
  }

  /** The cart, who is in it, and two tabs that have it open. */
  async #prepare() {
    const { owner, other } = this.#cast;
    const made = await this.#witness.ask("cart.create", { name: "Schedule", currency: "EUR" });
    this.#cart = made.cart;
    await this.#order({ kind: "share", users: [{ user: other.id, role: this.#plan.role }] });
    const items = [
      { sku: "MUG", qty: 2 },
      { sku: "CARD", qty: 4 },
      { sku: "BOWL", qty: 1 },
    ];
    await this.#order({ kind: "add", items });
    const shared = new Browser();
    for (const index of [0, 1]) {
      const lane = this.#proxy.lane(`${this.#seed}.${index}`, `${this.#seed}/${index}`, this.#tally);
      this.#lanes.push(lane);
      this.#browsers.push(this.#plan.onePerson ? shared : new Browser());
      this.#open(index);
    }
    if (!this.#plan.isPatient) return;
    const isThere = ({ room }) => hasEnded(room) || room.status === "live";
    await this.#until("the cart is seen", () => this.#tabs.every(isThere));
  }

  /** An op of the owner's, past the bad network; its reply. */
  async #order(op) {
    const opId = `${crypto.randomUUID()}:1`;
    const reply = await this.#witness.ask("cart.op", { cart: this.#cart, op_id: opId, op });
    if (reply.type !== "ok") throw new Error(`the ${op.kind} of the owner: ${reply.code}`);
    return reply;
  }

  /** A tab in the place of `index`; `session` is what one keeps over a reload. */
  #open(index, session = new Session()) {
    const { owner, other } = this.#cast;
    const person = this.#plan.onePerson || index === 0 ? owner : other;
    const [lane, browser] = [this.#lanes[index], this.#browsers[index]];
    const chance = random(this.#seed, "store", this.#all.length);
    const likelyMs = PATIENCE_ANSWERS * this.#witness.slowestMs;
    const patienceMs = Math.min(PATIENCE_MAX_MS, Math.max(PATIENCE_MIN_MS, likelyMs));
    const place = { lane, person, browser, session };
    const tab = new Tab({ sdk: this.#sdk, ...place, chance, patienceMs });
    this.#tabs[index] = tab;
    this.#all.push(tab);
    tab.client.on("rejected", ({ op_id: opId, error }) => this.#rejected.set(opId, error));
    this.#room(tab);
  }

  /** The tab's room of the cart, opened again where it has ended, and looked after. */
  #room(tab) {
    if (tab.room && !hasEnded(tab.room)) return tab.room;
    tab.room = tab.client.room(this.#cart);
    const { room } = tab;
    for (const event of ["change", "op", "state"]) room.on(event, () => this.#look(tab, room));
    return room;
  }

  /** What must be true of a room at any moment. */
  #look(tab, room) {
    if (!tab.alive) return;
    this.#number(tab, room);
    if (!room.committed || room.committed === tab.seen) return;
    tab.seen = room.committed;
    const seen = this.#seen.get(room.rev) ?? room.committed;
    this.#seen.set(room.rev, seen);
    for (const place of differences(room.committed, seen)) {
      this.#problems.push(`two tabs have different carts at rev ${room.rev}: ${place}`);
    }
  }

  /** What must be true whenever all that was asked is answered, and all answers are in the cart. */
  #lookAtRest({ room }) {
    if (!room.committed || room.pending.length || this.#tally.acknowledged > room.rev) return;
    if (isDeepStrictEqual(room.state, room.committed)) return;
    this.#problems.push(`nothing waits at rev ${room.rev}, yet more is shown than is committed`);
  }

  async #take({ tab: index, act, pause, chance }) {
    let answer = null;
    const lane = this.#lanes[index];
    if (act === "op") answer = this.#ask(this.#tabs[index], chance);
    else if (act === "reload") this.#reload(index, this.#tabs[index].session);
    else if (act === "close") this.#reload(index);
    else lane[act]();
    if (pause === "moment") await delay(1 + (chance?.next() ?? 0.5) * MOMENT_MAX_MS);
    if (pause === "answer") await Promise.race([answer, delay(ANSWER_PATIENCE_MS)]);
  }

  /** A tab goes without a word; one comes that remembers `session`, or nothing. */
  #reload(index, session) {
    this.#tabs[index].die();
    this.#open(index, session);
    this.#counts.reloads += 1;
  }

  /** Have a tab make an op; resolves when it has an answer. */
  #ask(tab, chance) {
    const room = this.#room(tab);
    this.#lookAtRest(tab);
    const { op, products } = makeOp(chance, room.state, this.#cast);
    const [before, waiting, ended] = [room.state, room.pending.length, hasEnded(room)];
    const answer = room.op(op, products ? { products } : {});
    this.#counts.ops += 1;
    if (room.pending.length === waiting) {
      // Refused at once, as a room that has ended does; it never was an op.
      if (!ended) this.#problems.push(`a ${op.kind} was refused by a room that is open`);
      return answer.catch(() => {});
    }
    const shown = before !== null && !isDeepStrictEqual(before, room.state);
    const entry = { tab, room, op, opId: null, shown, outcome: null };
    this.#asked.push(entry);
    this.#number(tab, room);
    // As it is shown: what we are may have changed by an op of ours whose rev is yet to come.
    const { role } = before?.members.find(({ user }) => user === tab.person.id) ?? {};
    const mayEdit = [role, room.role].every((each) => ["editor", "owner"].includes(each));
    const editing = entry.opId !== null && !waiting && mayEdit;
    if (editing && op.kind === "rename" && room.state.name !== op.name) {
      this.#problems.push("a new name was not shown at once");
    }
    return answer.then(
      (reply) => this.#answered(entry, { reply }),
      (error) => this.#answered(entry, { error }),
    );
  }

  /** Ops have no number before the tab's record is claimed; then those of a room follow in order. */
  #number(tab, room) {
    const fresh = this.#asked.filter(
      (entry) => entry.room === room && entry.opId === null && !entry.outcome,
    );
    if (!fresh.length || tab.client.client === null) return;
    const numbered = room.pending.slice(-fresh.length);
    for (const [index, entry] of fresh.entries()) entry.opId = numbered[index].op_id;
  }

  #answered(entry, outcome) {
    if (!entry.tab.alive) return; // nobody was there to hear it
    entry.outcome = outcome;
    const { error } = outcome;
    if (!error) {
      this.#counts.acknowledged += 1;
      return;
    }
    this.#counts.refused += 1;
    this.#counts.refusals[error.code] = (this.#counts.refusals[error.code] ?? 0) + 1;
    if (entry.shown) this.#counts.rollbacks += 1;
    if (NEVER.has(error.code) || !(error instanceof this.#sdk.CartroomError)) {
      this.#problems.push(`${entry.opId}, ${JSON.stringify(entry.op)}: ${error.stack}`);
    }
  }

  /** The network is well again: everything gets its answer, and everybody the same cart. */
  async #settle() {
    for (const lane of this.#lanes) lane.heal();
    await this.#until(
      "everything is answered",
      () =>
        this.#tabs.every(({ client }) => client.status === "live" && client.pending === 0) &&
        this.#browsers.every(({ waiting }) => waiting === 0),
    );
    if (this.#plan.deletes) await this.#order({ kind: "delete" });
    // Whoever missed a push finds out by the next one.
    else await this.#order({ kind: "rename", name: "The end" });
    const joined = await this.#witness.ask("cart.join", { cart: this.#cart });
    const rooms = this.#tabs.map((tab) => this.#room(tab));
    const isUpToDate = (room) => room.status === "live" && room.rev >= joined.rev;
    await this.#until("everybody is up to date", () =>
      rooms.every((room) => hasEnded(room) || isUpToDate(room)),
    );
    for (const tab of this.#tabs) this.#lookAtRest(tab);
  }

  async #until(what, check) {
    const deadline = Date.now() + this.#deadlineMs;
    while (!check()) {
      if (Date.now() > deadline) {
        const tabs = this.#tabs.map((tab) => tab.describe()).join("; ");
        throw new Error([`${what} never: ${tabs}`, ...this.#problems].join("\n  "));
      }
      await delay(POLL_MS);
    }
  }

  /** Compare both tabs, and what was answered, with what a fresh connection is told. */
  async #judge() {
    for (const tab of this.#tabs) await this.#compare(tab);
    if (this.#plan.deletes) return;
    const history = await this.#witness.history(this.#cart);
    const { rev } = await this.#witness.ask("cart.join", { cart: this.#cart });
    if (history.at(-1).rev !== rev || history.length !== rev) {
      this.#problems.push(`the history has ${history.length} entries at rev ${rev}`);
    }
    this.#compareAnswers(history);
  }

  async #compare(tab) {
    const { room } = tab;
    const fresh = await Witness.arrive(this.#server, tab.person);
    const joined = await fresh.ask("cart.join", { cart: this.#cart });
    fresh.leave();
    if (joined.type === "error") {
      if (room.status !== "gone") this.#problems.push(`${room.status}, of no cart of theirs`);
      return;
    }
    const here = { rev: room.rev, role: room.role, committed: room.committed, state: room.state };
    const { rev, role, state } = joined;
    const there = { rev, role, committed: state, state };
    for (const place of differences(here, there)) {
      this.#problems.push(`not as a fresh connection has it: ${place}`);
    }
  }

  #compareAnswers(history) {
    const effects = new Map();
    for (const entry of history) {
      if (!effects.has(entry.op_id)) effects.set(entry.op_id, []);
      if (entry.op.kind !== "refuse") effects.get(entry.op_id).push(entry);
    }
    const asked = new Map(this.#asked.map((entry) => [entry.opId, entry]));
    for (const { client } of this.#all) {
      for (const [opId] of effects) {
        if (opId?.startsWith(`${client.client}:`) && !asked.has(opId)) {
          this.#problems.push(`${opId} took effect, and nobody asked for it`);
        }
      }
    }
    for (const entry of this.#asked) this.#compareAnswer(entry, effects.get(entry.opId) ?? []);
  }

  #compareAnswer({ tab, op, opId, outcome }, effects) {
    if (opId === null) return; // it never got a number, as its tab or its room ended before
    const refusal = outcome?.error ?? this.#rejected.get(opId);
    const wrong = (what) => this.#problems.push(`${opId}, ${JSON.stringify(op)} ${what}`);
    if (effects.length > 1) wrong(`took effect ${effects.length} times`);
    if (outcome?.reply) {
      const { rev, op: effect } = outcome.reply;
      if (effects[0]?.rev !== rev) wrong(`was acknowledged at ${rev}, and is at ${effects[0]?.rev}`);
      else if (!isDeepStrictEqual(effects[0].op, effect)) wrong("was told another effect");
    }
    if (refusal && effects.length) wrong(`was refused (${refusal.code}), and took effect`);
    if (!outcome && tab.alive) wrong("was never answered");
    if (!outcome && tab.kept.has(opId)) {
      const isUnheard = this.#browsers.some(({ unheard }) => unheard.has(opId));
      if (!effects.length && !refusal && isUnheard) this.#counts.unheard += 1;
      else if (!effects.length && !refusal) wrong("was stored, and came to nothing");
      if (!this.#all.some(({ client }) => opId.startsWith(`${client.client}:`))) wrong("is nobody's");
    }
  }
}

function hasEnded(room) {
  return room.status === "gone" || room.status === "failed";
}

/** Where two values differ, and how. */
function differences(ours, theirs, place = "") {
  if (isDeepStrictEqual(ours, theirs)) return [];
  const are = [ours, theirs].every((value) => typeof value === "object" && value !== null);
  if (!are) return [`${place}: ${JSON.stringify(ours)} and ${JSON.stringify(theirs)}`];
  const keys = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
  return [...keys].flatMap((key) => differences(ours[key], theirs[key], `${place}/${key}`));
}
