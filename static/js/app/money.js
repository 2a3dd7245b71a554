/** Money for people, from integers in minor units. The exponents are those of ISO 4217. */

import { inLocale } from "./locale.js";

const EXPONENTS = new Map([
  ...["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI"].map(
    (currency) => [currency, 0],
  ),
  ...["VND", "VUV", "XAF", "XOF", "XPF"].map((currency) => [currency, 0]),
  ...["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"].map((currency) => [currency, 3]),
  ...["CLF", "UYW"].map((currency) => [currency, 4]),
]);

const formatsOf = inLocale((locale) => ({ locale, formats: new Map() }));

function formatOf(currency, digits) {
  const { locale, formats } = formatsOf();
  if (!formats.has(currency)) {
    const options = {
      style: "currency",
      currency,
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    };
    formats.set(currency, new Intl.NumberFormat(locale, options));
  }
  return formats.get(currency);
}

/** `money(1250, "EUR")` is "€12.50" in the reader's language. */
export function money(amount, currency) {
  const digits = EXPONENTS.get(currency) ?? 2;
  return formatOf(currency, digits).format(amount / 10 ** digits);
}
