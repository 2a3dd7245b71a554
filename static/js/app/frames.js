/**
 * Work that comes by so much a frame. Of all that waits one does its part with each frame, in turn:
 * frames stay short, however much there is to do.
 */

/** Where nobody looks there are no frames, and nothing need be done at once. */
const HIDDEN_MS = 500;

const waiting = new Set();
let asked = false;

function next() {
  asked = false;
  const [one] = waiting;
  if (!one) return;
  waiting.delete(one);
  ask();
  one.act();
}

function ask() {
  if (asked || !waiting.size) return;
  asked = true;
  if (document.hidden) setTimeout(next, HIDDEN_MS);
  else requestAnimationFrame(next);
}

/** Calls `act()` with one of the next frames, once, however often it was asked for by `soon()`. */
export class OnceAFrame {
  act;

  constructor(act) {
    this.act = act;
  }

  soon() {
    waiting.add(this);
    ask();
  }

  cancel() {
    waiting.delete(this);
  }
}
