/** What a run has been through, counted; and what the network saw of each op. */

import { isDeepStrictEqual } from "node:util";

/** What no run of any length may be without. */
const NEEDED = ["lostAcknowledgements", "duplicates", "rollbacks", "resumes", "reloads", "adopted"];

export class Counts {
  schedules = 0;
  ops = 0;
  acknowledged = 0;
  refused = 0;
  /** Ops that took effect, of which the answer got lost on the way. */
  lostAcknowledgements = 0;
  /** Ops sent again, and answered as the first time. */
  duplicates = 0;
  /** Changes that were shown, and taken back. */
  rollbacks = 0;
  /** Joins that were answered with the ops missed. */
  resumes = 0;
  /** Tabs that went without a word and came back. */
  reloads = 0;
  /** Ops of a closed tab that another one has sent. */
  adopted = 0;
  /** Ops that were refused by a tab that ended before it could tell. */
  unheard = 0;
  faults = {};
  refusals = {};

  get missing() {
    return NEEDED.filter((name) => this[name] === 0);
  }
}

/** What the network of one schedule saw. Its `problems` are the service's: it told two stories. */
export class Tally {
  problems = [];
  /** The highest rev that a tab was told in an answer, or would have been. */
  acknowledged = 0;
  #counts;
  #ops = new Map();

  constructor(counts) {
    this.#counts = counts;
  }

  fault(kind) {
    this.#counts.faults[kind] = (this.#counts.faults[kind] ?? 0) + 1;
  }

  resumed() {
    this.#counts.resumes += 1;
  }

  asked(opId) {
    this.#of(opId).asked += 1;
  }

  answered(opId, reply, client) {
    if (reply.type !== "ok") return;
    this.acknowledged = Math.max(this.acknowledged, reply.rev);
    const known = this.#of(opId);
    if (!opId.startsWith(`${client}:`) && !known.adopted) {
      known.adopted = true;
      this.#counts.adopted += 1;
    }
    const { rev, at, op, results } = reply;
    const answer = { rev, at, op, results };
    if (!known.answer) known.answer = answer;
    else if (!isDeepStrictEqual(known.answer, answer)) {
      this.problems.push(`${opId} was acknowledged in two ways`);
    } else if (known.asked > 1) {
      this.#counts.duplicates += 1;
    }
  }

  lost(opId, reply) {
    if (reply.type === "ok") this.#counts.lostAcknowledgements += 1;
  }

  #of(opId) {
    if (!this.#ops.has(opId)) this.#ops.set(opId, { asked: 0, answer: null, adopted: false });
    return this.#ops.get(opId);
  }
}
