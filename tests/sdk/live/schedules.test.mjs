/**
 * Two clients and 20 ops on a network that drops, delays, repeats and cuts, as a seed decides;
 * many such schedules. `CARTROOM_SEED=<n>` runs the one of that seed, `CARTROOM_EXAMPLES=<n>` so
 * many.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "../../browser/server.mjs";
import { runSchedules } from "./running.mjs";

const LIBRARY = new URL("../../../static/sdk/cartroom.js", import.meta.url).href;
const DEADLINE_MS = 300_000;
const SCHEDULES = { quick: 40, ci: 1_000, long: 10_000 };

const server = new Server();

before(() => server.start());
after(() => server.end());

test("schedules of two clients on a bad network", async () => {
  const { CARTROOM_SEED: only, CARTROOM_EXAMPLES: examples, CARTROOM_TEST_TIER: tier } = process.env;
  const number = Number(examples ?? SCHEDULES[tier]);
  // Other ones each time; of a failing one the number is told.
  const first = only ? Number(only) : Math.floor(Math.random() * 1e9);
  const seeds = Array.from({ length: only ? 1 : number }, (_, index) => first + index);
  console.log(`seeds ${seeds[0]} to ${seeds.at(-1)}`);
  const begin = Date.now();
  const options = { library: LIBRARY, seeds, deadlineMs: DEADLINE_MS };
  const { counts, failures } = await runSchedules(server, options);
  for (const failure of failures) console.log(failure); // first: reports are cut at their end
  console.log(`${(Date.now() - begin) / 1000} s`, JSON.stringify(counts, null, 1));
  assert.deepEqual(failures, []);
  assert.equal(counts.schedules, seeds.length);
  if (!only) assert.deepEqual(counts.missing, []);
});
