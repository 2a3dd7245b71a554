/** Events by name. A listener that throws is reported and harms no other listener. */
export class Emitter {
  #listeners = new Map();

  /** Call `listener(detail)` on every `name`; returns the function that ends it. */
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => this.#listeners.get(name).delete(listener);
  }

  emit(name, detail) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        console.error(`A listener of "${name}" failed`, error);
      }
    }
  }
}
