/** Lists to choose from: currencies, and the ways of languages and regions. */

import { h } from "../app/dom.js";

const COMMON_CURRENCIES = ["EUR", "USD", "GBP", "CHF", "JPY"];
const LOCALES = [
  ...["cs-CZ", "da-DK", "de-AT", "de-CH", "de-DE", "el-GR", "en-AU", "en-CA", "en-GB", "en-IE"],
  ...["en-IN", "en-US", "es-ES", "es-MX", "fi-FI", "fr-CA", "fr-CH", "fr-FR", "hu-HU", "it-IT"],
  ...["ja-JP", "ko-KR", "nb-NO", "nl-BE", "nl-NL", "pl-PL", "pt-BR", "pt-PT", "ro-RO", "sv-SE"],
  ...["tr-TR", "uk-UA", "zh-CN", "zh-TW"],
];

/** An option for each currency, those that are common first. */
export function currencyOptions() {
  const names = new Intl.DisplayNames(undefined, { type: "currency" });
  const all = Intl.supportedValuesOf("currency");
  const codes = [...COMMON_CURRENCIES, ...all.filter((code) => !COMMON_CURRENCIES.includes(code))];
  return codes.map((code) => h("option", { value: code }, `${code}: ${names.of(code)}`));
}

/** A time zone as it is read: "America/New York". */
export function timeZoneLabel(zone) {
  return zone.replaceAll("_", " ");
}

/** The time zone of this device, or null where the browser doesn't tell. */
export function ownTimeZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || null;
}

/** An option for each time zone, by their part of the world; `chosen` is among them in any case. */
export function timeZoneOptions(chosen) {
  const all = new Set(["UTC", ownTimeZone(), chosen, ...Intl.supportedValuesOf("timeZone")]);
  const parts = new Map();
  for (const zone of [...all].filter(Boolean).sort()) {
    const part = zone.includes("/") ? zone.split("/")[0] : "";
    parts.set(part, [...(parts.get(part) ?? []), h("option", { value: zone }, timeZoneLabel(zone))]);
  }
  const groups = [...parts].filter(([part]) => part);
  return [
    ...(parts.get("") ?? []),
    ...groups.map(([label, options]) => h("optgroup", { label }, options)),
  ];
}

/** What a language is called, with a number as an example; the tag itself where nobody knows it. */
function localeLabel(tag, names) {
  try {
    return `${names.of(tag)} (${new Intl.NumberFormat(tag).format(1234.5)})`;
  } catch {
    return tag;
  }
}

/** An option for each way to write dates and amounts; `chosen` is among them in any case. */
export function localeOptions(chosen) {
  const names = new Intl.DisplayNames(undefined, { type: "language" });
  const tags = new Set([...LOCALES, ...(chosen ? [chosen] : [])]);
  const options = [...tags]
    .map((tag) => [tag, localeLabel(tag, names)])
    .sort(([, one], [, other]) => one.localeCompare(other));
  return options.map(([value, label]) => h("option", { value }, label));
}
