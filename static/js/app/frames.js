/** Work that waits for the next frame. */

/** Where nobody looks there are no frames, and nothing need be done at once. */
const HIDDEN_MS = 500;

/** Calls `act()` with the next frame, once, however often it was asked for by `soon()`. */
export class OnceAFrame {
  #act;
  #cancel = null;

  constructor(act) {
    this.#act = act;
  }

  soon() {
    if (this.#cancel) return;
    const act = () => {
      this.#cancel = null;
      this.#act();
    };
    if (document.hidden) {
      const timer = setTimeout(act, HIDDEN_MS);
      this.#cancel = () => clearTimeout(timer);
    } else {
      const frame = requestAnimationFrame(act);
      this.#cancel = () => cancelAnimationFrame(frame);
    }
  }

  cancel() {
    this.#cancel?.();
    this.#cancel = null;
  }
}
