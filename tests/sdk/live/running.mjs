/** Many schedules at once on one service: enough to keep it busy, no more than answers in time. */

import { makePerson, socketOf } from "./service.mjs";
import { Proxy } from "./proxy.mjs";
import { runSchedule } from "./schedule.mjs";
import { Counts } from "./tally.mjs";

const AT_ONCE = 40;
const FAILURES_MAX = 5;

/**
 * Run the schedules of `seeds` on a service, `atOnce` at a time. Resolves with what was counted and
 * the failures; after `failuresMax` of them no further schedule begins.
 */
export async function runSchedules(
  server,
  { sdk, seeds, deadlineMs, atOnce = AT_ONCE, failuresMax = FAILURES_MAX },
) {
  const proxy = await new Proxy(socketOf(server.url)).start();
  const counts = new Counts();
  const failures = [];
  const waiting = seeds[Symbol.iterator]();

  async function work() {
    const cast = await Promise.all([makePerson(server, "Ana"), makePerson(server, "Ben")]);
    for (const seed of waiting) {
      if (failures.length >= failuresMax) return;
      try {
        await runSchedule({ seed, sdk, server, proxy, cast, counts, deadlineMs });
      } catch (error) {
        failures.push(error);
      }
    }
  }

  try {
    await Promise.all(Array.from({ length: Math.min(atOnce, seeds.length) }, work));
  } finally {
    await proxy.stop();
  }
  return { counts, failures };
}
