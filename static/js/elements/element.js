/**
 * The base of our custom elements. They live in the light DOM, so that the page's one style and
 * one focus order hold in them, and take what they need as properties, set before they are put
 * into the page: `h("cart-line", { app, line })`.
 *
 * An element says what it is made of in `build`, called once, when it first comes into the page.
 * What it listens to outside of itself goes through `until` or `follow` in `connected`, called
 * every time it comes into the page, and ends by itself when it has left.
 */
export class Element extends HTMLElement {
  #built = false;
  #here = false;
  #stops = [];

  connectedCallback() {
    if (this.#here) return; // It was only moved.
    this.#here = true;
    this.prepare();
    this.connected();
  }

  disconnectedCallback() {
    // Moving an element takes it out and puts it in again, within one turn.
    queueMicrotask(() => {
      if (this.isConnected || !this.#here) return;
      this.#here = false;
      this.#stops.splice(0).forEach((stop) => stop());
      this.disconnected();
    });
  }

  /** Have the children made now, where it isn't in the page yet. */
  prepare() {
    if (this.#built) return;
    this.#built = true;
    this.build();
  }

  /** Make the children. */
  build() {}

  /** It has come into the page. */
  connected() {}

  /** It has left the page. */
  disconnected() {}

  /** Have `stop()` called when the element leaves the page. */
  until(stop) {
    this.#stops.push(stop);
  }

  /**
   * Hear `name` of `source`, a DOM target or an emitter of the library, until the element leaves
   * the page.
   */
  follow(source, name, act) {
    if (source instanceof EventTarget) {
      source.addEventListener(name, act);
      this.until(() => source.removeEventListener(name, act));
    } else {
      this.until(source.on(name, act));
    }
  }

  /** Tell whoever holds the element: a bubbling event. False where somebody prevented it. */
  tell(name, detail) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, cancelable: true }));
  }
}

/** Define `<name>`, once. */
export function define(name, constructor) {
  if (!customElements.get(name)) customElements.define(name, constructor);
}
