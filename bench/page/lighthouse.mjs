/**
 * What Lighthouse says of the page on a phone: a service with the demo data, Chromium, each view
 * some times, and the medians. `scripts/lighthouse` starts it.
 *
 *     node bench/page/lighthouse.mjs [--runs 3] [--reports FOLDER] [--own-time]
 *
 * Ends with 1 where a view is below the least score in one of the categories. With `--own-time` the
 * page's tasks count with the time that their thread had, not by the clock, which runs on while a
 * busy machine does other work.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { navigationGather } from "lighthouse/core/gather/navigation-runner.js";
import { Runner } from "lighthouse/core/runner.js";
import puppeteer from "puppeteer-core";

import { given, Server } from "../../tests/browser/server.mjs";
import { countOwnTime } from "./own-time.mjs";

const LEAST_SCORE = 95;
const FAILURES_MAX = 3;
const CATEGORIES = ["performance", "accessibility", "best-practices"];
const METRICS = {
  "first-contentful-paint": "FCP, ms",
  "largest-contentful-paint": "LCP, ms",
  "total-blocking-time": "TBT, ms",
  "cumulative-layout-shift": "CLS",
  "total-byte-weight": "KB",
};
const ACCOUNT = /^\s+(\S+@\S+)\s+password: (\S+)$/;
const CART = /(#\/cart\/\S+)$/;

/** Lighthouse's own settings are a phone's: slow 4G and a fourth of the CPU, simulated. */
const CONFIG = {
  extends: "lighthouse:default",
  settings: { onlyCategories: CATEGORIES },
};

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    reports: { type: "string" },
    "own-time": { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);

function median(numbers) {
  const sorted = numbers.toSorted((one, other) => one - other);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Sign in as a form does: the cookie is the browser's then. */
async function signIn(page, url, [email, password]) {
  await page.goto(`${url}/#/signin`);
  const status = await page.evaluate(
    async (body) => {
      const headers = { "content-type": "application/json" };
      const options = { method: "POST", headers, body: JSON.stringify(body) };
      return (await fetch("/api/v1/auth/login", options)).status;
    },
    { email, password, session: "cookie" },
  );
  if (status !== 200) throw new Error(`the log-in was answered with ${status}`);
  await page.reload(); // The page remembers who was here.
  await page.waitForSelector("#header nav");
}

async function once(browser, url) {
  const page = await browser.newPage();
  try {
    const flags = { output: "html", logLevel: "silent" };
    const { artifacts, runnerOptions } = await navigationGather(page, url, { flags, config: CONFIG });
    if (values["own-time"]) countOwnTime(artifacts.Trace.traceEvents);
    return await Runner.audit(artifacts, runnerOptions);
  } finally {
    await page.close();
  }
}

async function measure(browser, name, url) {
  const results = [];
  let failures = 0;
  for (let run = 1; run <= runs; run += 1) {
    const { lhr, report } = await once(browser, url);
    if (lhr.runtimeError) {
      // A busy machine loses a part of the recording now and then.
      failures += 1;
      if (failures === FAILURES_MAX) throw new Error(`${name}: ${lhr.runtimeError.message}`);
      run -= 1;
      continue;
    }
    if (values.reports) await writeFile(join(values.reports, `${name}-${run}.html`), report);
    results.push(lhr);
  }
  return { name, results };
}

/** A category counts with the median of its runs. */
function scoreOf({ results }, category) {
  return Math.round(100 * median(results.map((lhr) => lhr.categories[category].score)));
}

function figure({ results }, audit) {
  const value = median(results.map((lhr) => lhr.audits[audit].numericValue));
  if (audit === "cumulative-layout-shift") return value.toFixed(3);
  return String(Math.round(audit === "total-byte-weight" ? value / 1024 : value));
}

/** What costs points: each audit once, with what it found. */
function complaints({ results }, category) {
  const told = new Map();
  for (const lhr of results) {
    for (const { id, weight } of lhr.categories[category].auditRefs) {
      const audit = lhr.audits[id];
      if (!weight || audit.score === null || audit.score >= 0.9) continue;
      const places = (audit.details?.items ?? [])
        .map((item) => item.node?.selector ?? item.description ?? item.source)
        .filter(Boolean);
      told.set(id, [audit.title, audit.displayValue, ...places.slice(0, 5)].filter(Boolean));
    }
  }
  return [...told.values()].map((parts) => `    ${parts.join(" · ")}`);
}

function print(views) {
  const heads = ["view", ...CATEGORIES, ...Object.values(METRICS)];
  console.log(`| ${heads.join(" | ")} |\n|${"---|".repeat(heads.length)}`);
  for (const view of views) {
    const scores = CATEGORIES.map((category) => scoreOf(view, category));
    const figures = Object.keys(METRICS).map((audit) => figure(view, audit));
    console.log(`| ${[view.name, ...scores, ...figures].join(" | ")} |`);
  }
}

/** Whether every view has the least score in every category; says where not, and why. */
function judged(views) {
  let good = true;
  for (const view of views) {
    for (const category of CATEGORIES) {
      const score = scoreOf(view, category);
      if (score >= LEAST_SCORE) continue;
      good = false;
      console.log(`\n${view.name}: ${category} is ${score}, below ${LEAST_SCORE}`);
      console.log(complaints(view, category).join("\n"));
    }
  }
  return good;
}

async function main() {
  if (values.reports) await mkdir(values.reports, { recursive: true });
  const server = await new Server().start("--demo");
  const account = server.output.map((line) => ACCOUNT.exec(line)).find(Boolean);
  const cart = server.output.map((line) => CART.exec(line)).find(Boolean)[1];
  const browser = await puppeteer.launch({
    executablePath: given("CARTROOM_TEST_CHROMIUM"),
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
  try {
    const { url } = server;
    const views = [
      await measure(browser, "home", `${url}/`),
      await measure(browser, "sign-in", `${url}/#/signin`),
    ];
    const page = await browser.newPage();
    await signIn(page, url, account.slice(1));
    await page.close();
    views.push(await measure(browser, "carts", `${url}/#/carts`));
    views.push(await measure(browser, "cart", `${url}/${cart}`));
    print(views);
    process.exitCode = judged(views) ? 0 : 1;
  } finally {
    await browser.close();
    await server.end();
  }
}

await main();
