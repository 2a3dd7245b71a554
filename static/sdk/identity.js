/**
 * Who this tab is to the service: a UUID that it keeps over reloads, and the numbers of its ops.
 *
 * Browsers copy sessionStorage when a tab is duplicated, so the id alone would be shared by two
 * tabs. A Web Lock on the id, held as long as the page lives, tells them apart: who finds it taken
 * makes a new id. Where there are no locks (a page not served securely) every load is a new client.
 */

const CLIENT_KEY = "cartroom.client";
const NUMBER_KEY = "cartroom.n";

/** A random UUID; `crypto.randomUUID` is absent on pages that aren't served securely. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

/** Numbers that only rise, remembered in `storage` before they are used. */
class Numbers {
  #storage;
  #last;

  constructor(storage) {
    this.#storage = storage;
    const stored = Number(storage?.getItem(NUMBER_KEY));
    this.#last = Number.isSafeInteger(stored) && stored > 0 ? stored : 0;
  }

  /** The next number, above `floor` (the last that the service knows) and all given before. */
  next(floor = 0) {
    this.#last = Math.max(this.#last, floor) + 1;
    this.#storage?.setItem(NUMBER_KEY, String(this.#last));
    return this.#last;
  }
}

function lock(locks, name) {
  return new Promise((resolve, reject) => {
    locks
      .request(name, { ifAvailable: true }, (held) => {
        resolve(held !== null);
        // Held until the page goes away.
        return held === null ? undefined : new Promise(() => {});
      })
      .catch(reject);
  });
}

/**
 * `{client, numbers}` of this tab. `storage` is its sessionStorage or null where that is blocked,
 * `locks` is `navigator.locks` or undefined.
 */
export async function claimIdentity(storage, locks) {
  const known = storage?.getItem(CLIENT_KEY);
  if (known && locks && (await lock(locks, `${CLIENT_KEY}.${known}`))) {
    return { client: known, numbers: new Numbers(storage) };
  }
  const client = uuid();
  storage?.setItem(CLIENT_KEY, client);
  if (locks) await lock(locks, `${CLIENT_KEY}.${client}`);
  return { client, numbers: new Numbers(storage) };
}
