/** Times for people. */

import { inLocale } from "./locale.js";

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const RELATIVE_S = 7 * 86_400;
const DAY_MS = 86_400_000;

const relative = inLocale((locale) => new Intl.RelativeTimeFormat(locale, { numeric: "auto" }));
const dated = inLocale((locale) => new Intl.DateTimeFormat(locale, { dateStyle: "medium" }));
const fullDay = inLocale((locale) => new Intl.DateTimeFormat(locale, { dateStyle: "full" }));
const timed = inLocale((locale) => new Intl.DateTimeFormat(locale, { timeStyle: "short" }));

/** How long ago something was: "5 minutes ago", or its date when that is more than a week. */
export function ago(at) {
  const seconds = (Date.now() - new Date(at)) / 1000;
  if (seconds > RELATIVE_S) return day(at);
  const [unit, length] = UNITS.find(([, each]) => seconds >= each) ?? ["second", 1];
  return unit === "second" ? "just now" : relative().format(-Math.floor(seconds / length), unit);
}

/** The date alone. */
export function day(at) {
  return dated().format(new Date(at));
}

/** The time of day alone. */
export function timeOfDay(at) {
  return timed().format(new Date(at));
}

/** A day for a heading: "Today", "Yesterday", or its date. */
export function dayTitle(date) {
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return "Today";
  const yesterday = new Date(now.getTime() - DAY_MS);
  return date.toDateString() === yesterday.toDateString() ? "Yesterday" : fullDay().format(date);
}
