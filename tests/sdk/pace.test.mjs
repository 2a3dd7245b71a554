/** Requests stay below the service's rate, by a clock of our own. */

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Pace } from "../../static/sdk/pace.js";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
});

/** Have `count` ask for their turn; the numbers of those who have had it, as they get it. */
function asking(pace, count) {
  const served = [];
  for (let n = 0; n < count; n += 1) pace.turn().then(() => served.push(n));
  return served;
}

async function pass(ms) {
  for (let left = ms; left > 0; left -= 10) {
    mock.timers.tick(Math.min(10, left));
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  }
}

test("a burst goes at once, the others in order and in time", async () => {
  const pace = new Pace();
  pace.begin({ ops_per_s: 50, ops_burst: 20 });
  const served = asking(pace, 60);
  await pass(10);
  assert.equal(served.length, 16, "four fifths of the burst");
  await pass(500);
  assert.ok(served.length >= 34 && served.length <= 36, `${served.length}`);
  await pass(1_000);
  assert.deepEqual(served, Array.from({ length: 60 }, (_, n) => n));
});

test("without a socket, or without limits, nobody waits", async () => {
  const pace = new Pace();
  const early = asking(pace, 500);
  await pass(10);
  assert.equal(early.length, 500);
  pace.begin({ ops_per_s: 1, ops_burst: 5 });
  const held = asking(pace, 100);
  await pass(10);
  assert.equal(held.length, 4);
  pace.end();
  await pass(10);
  assert.equal(held.length, 100);
  pace.begin({});
  const unlimited = asking(pace, 500);
  await pass(10);
  assert.equal(unlimited.length, 500);
});
