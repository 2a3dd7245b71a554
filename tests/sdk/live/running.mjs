/** Many schedules at once on one service: enough to keep it busy, no more than answers in time. */

import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import { Proxy } from "./proxy.mjs";
import { runSchedule } from "./schedule.mjs";
import { makePerson, socketOf } from "./service.mjs";
import { Counts } from "./tally.mjs";

const AT_ONCE = 40;
const FAILURES_MAX = 5;

/**
 * Run the schedules of `seeds` on a service, `atOnce` at a time, with the library at `library`, a
 * URL. Resolves with what was counted and how schedules failed; after `failuresMax` failures no
 * further one begins. It is done in a thread: Node's test runner follows every promise of its own.
 */
export async function runSchedules(server, options) {
  const data = { atOnce: AT_ONCE, failuresMax: FAILURES_MAX, url: server.url, ...options };
  const worker = new Worker(new URL(import.meta.url), { workerData: data });
  const [outcome] = await once(worker, "message");
  return outcome;
}

async function work({ url, library, seeds, deadlineMs, atOnce, failuresMax }) {
  const sdk = await import(library);
  const server = { url };
  const proxy = await new Proxy(socketOf(url)).start();
  const counts = new Counts();
  const failures = [];
  const waiting = seeds[Symbol.iterator]();

  async function oneAfterTheOther() {
    const cast = await Promise.all([makePerson(server, "Ana"), makePerson(server, "Ben")]);
    for (const seed of waiting) {
      if (failures.length >= failuresMax) return;
      try {
        await runSchedule({ seed, sdk, server, proxy, cast, counts, deadlineMs });
      } catch (error) {
        failures.push(error.message);
      }
    }
  }

  await Promise.all(Array.from({ length: Math.min(atOnce, seeds.length) }, oneAfterTheOther));
  await proxy.stop();
  return { counts: { ...counts, missing: counts.missing }, failures };
}

if (!isMainThread) parentPort.postMessage(await work(workerData));
