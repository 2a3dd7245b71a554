/** Whether things may move. */

const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** The reader has asked for less motion. */
export function still() {
  return reduced.matches;
}
