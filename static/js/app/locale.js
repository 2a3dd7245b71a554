/** How dates and amounts are written: as the account says, or else as the browser does. */

let chosen;

/** Take up the language and region of `tag` (BCP 47), or the browser's for null. */
export function useLocale(tag) {
  try {
    [chosen] = Intl.getCanonicalLocales(tag ?? []);
  } catch {
    chosen = undefined; // Another client may have stored what this browser doesn't know.
  }
}

/** A function that gives `make(locale)`, made anew only when the locale is another. */
export function inLocale(make) {
  let made = null;
  let of;
  return () => {
    if (!made || of !== chosen) made = make(chosen);
    of = chosen;
    return made;
  };
}
