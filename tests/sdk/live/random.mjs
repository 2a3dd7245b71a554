/** Numbers that a seed decides, so that a run can be had again. */

/** A generator of its own for each of `names`: what one draws changes nothing for the others. */
export function random(...names) {
  let state = 0x811c9dc5;
  for (const char of names.join("/")) {
    state = Math.imul(state ^ char.codePointAt(0), 0x01000193);
  }

  /** A number from 0 up to, but not, 1 (mulberry32). */
  function next() {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  return {
    next,
    /** A whole number from `low` to `high`, both included. */
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    chance: (probability) => next() < probability,
    /** One of `values`, or undefined where there are none. */
    pick: (values) => values[Math.floor(next() * values.length)],
    /** A key of `weights`, as often as its value says. */
    weighted(weights) {
      let left = next() * Object.values(weights).reduce((sum, weight) => sum + weight, 0);
      for (const [name, weight] of Object.entries(weights)) {
        left -= weight;
        if (left < 0) return name;
      }
      throw new Error("the weights are empty");
    },
  };
}
