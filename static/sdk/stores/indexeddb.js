/** The shelf of a browser: one IndexedDB database of a few object stores. */

const VERSION = 1;
const AREAS = ["clients", "rooms", "meta"];

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export class IndexedDbShelf {
  #factory;
  #name;
  /** The open database, or a promise of it; null before the first use, and once it is closed. */
  #database = null;

  constructor(factory, name) {
    this.#factory = factory;
    this.#name = name;
  }

  get(area, key) {
    return this.#within(area, "readonly", (store) => store.get(key));
  }

  put(area, key, value) {
    return this.#within(area, "readwrite", (store) => store.put(value, key));
  }

  delete(area, key) {
    return this.#within(area, "readwrite", (store) => store.delete(key));
  }

  all(area) {
    return this.#within(area, "readonly", (store) => store.getAll());
  }

  /** Do one thing in a transaction; resolves once that is complete. */
  async #within(area, mode, act) {
    try {
      return await this.#attempt(area, mode, act);
    } catch (error) {
      // The browser may close a database at any time, for cleaning up or for a newer version.
      if (error.name !== "InvalidStateError") throw error;
      this.#database = null;
      return this.#attempt(area, mode, act);
    }
  }

  async #attempt(area, mode, act) {
    this.#database ??= this.#open();
    const database = await this.#database;
    // Records must be on the disk: an op that is sent, and a number that comes back, are one lost.
    const durability = area === "clients" ? "strict" : "relaxed";
    const transaction = database.transaction(area, mode, { durability });
    const complete = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error ?? new Error("The store gave up."));
    });
    const [result] = await Promise.all([settled(act(transaction.objectStore(area))), complete]);
    return result;
  }

  async #open() {
    try {
      const request = this.#factory.open(this.#name, VERSION);
      request.onupgradeneeded = () => {
        for (const area of AREAS) request.result.createObjectStore(area);
      };
      const database = await settled(request);
      const forget = () => (this.#database = null);
      database.onclose = forget;
      database.onversionchange = () => {
        database.close();
        forget();
      };
      return database;
    } catch (error) {
      this.#database = null;
      throw error;
    }
  }
}
