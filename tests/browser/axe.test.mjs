/**
 * Every view in every state: nothing for axe-core, no problem in the console, nothing too wide. In
 * the tier `quick` it is one state of each view.
 */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { ROUTED } from "../../static/js/app/routes.js";
import { everyView, nameOf, show, stillness, VIEWS } from "./views.mjs";
import { World } from "./world.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const THEMES = ["light", "dark"];
const SIZES = [
  { width: 1280, height: 800 },
  { width: 360, height: 780 },
];
const THOROUGH = ["ci", "long"].includes(process.env.CARTROOM_TEST_TIER);

let world;
let axe;

before(async () => {
  [world, axe] = await Promise.all([World.make(), readFile(AXE, "utf-8")]);
});

after(async () => {
  await world?.end();
});

test("every route is in the list of views", () => {
  const listed = new Set(VIEWS.map(({ view }) => view));
  assert.deepEqual(ROUTED.filter((tag) => !listed.has(tag)), []);
  const names = VIEWS.map(nameOf);
  assert.deepEqual(names.filter((name, at) => names.indexOf(name) !== at), []);
});

/** What axe-core finds, a text each. */
async function found(page, runOnly, without = []) {
  const rules = Object.fromEntries(without.map((rule) => [rule, { enabled: false }]));
  const { violations } = await page.evaluate(
    (options) => window.axe.run(document, options),
    { runOnly, rules, resultTypes: ["violations"] },
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} at ${target}: ${failureSummary}`),
  );
}

/** A person's width must hold the view. */
async function tooWide(page) {
  const [wide, window] = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return [scrollWidth, clientWidth];
  });
  return wide > window ? [`${wide} wide in a window of ${window}`] : [];
}

/** Half of them wide, half of them on a phone, whatever their theme. */
function sizeFor(index) {
  return SIZES[(index >> 1) % 2];
}

/** What the browser leaves out where it is far away keeps the colours of before. */
function drawAll(page) {
  return page.evaluate(() => {
    for (const block of document.querySelectorAll(".line-block")) {
      block.style.setProperty("content-visibility", "visible");
    }
  });
}

async function examine(page, { without }, index) {
  await drawAll(page);
  await page.emulateMedia({ colorScheme: THEMES[index % 2] });
  await stillness(page);
  await page.evaluate(axe);
  const problems = await found(page, { type: "tag", values: TAGS }, without);
  if (THOROUGH) {
    // The other theme has other colours, and nothing else.
    await page.emulateMedia({ colorScheme: THEMES[(index + 1) % 2] });
    await stillness(page);
    problems.push(...(await found(page, { type: "rule", values: ["color-contrast"] })));
  }
  await page.setViewportSize(SIZES[1]);
  await stillness(page); // What the style says of narrow windows counts from the next frame on.
  problems.push(...(await tooWide(page)));
  return problems;
}

/** Of each view its first state, or the one after "loading". */
function oneOfEach() {
  const loaded = VIEWS.filter(({ state }) => state !== "loading");
  return loaded.filter(({ view }, at) => loaded.findIndex((one) => one.view === view) === at);
}

test("every view in every state is sound", async () => {
  const all = {};
  const chosen = THOROUGH ? VIEWS : oneOfEach();
  await everyView(async (entry, index) => {
    if (!chosen.includes(entry)) return;
    const problems = [];
    try {
      problems.push(
        ...(await show(world, entry, sizeFor(index), async (page) => {
          problems.push(...(await examine(page, entry, index)));
        })),
      );
    } catch (error) {
      problems.push(error.message);
    }
    if (problems.length) all[nameOf(entry)] = problems;
  });
  assert.deepEqual(all, {});
});
