/**
 * Who is signed in, in this browser: `{user, token}` in localStorage, so that all tabs share it.
 * Where storage is blocked, it lives as long as the page.
 */

const KEY = "cartroom.session";

/** sessionStorage or localStorage, or null where the browser refuses it. */
export function storageOf(name) {
  try {
    const storage = window[name];
    storage.getItem(KEY);
    return storage;
  } catch {
    return null; // Blocked by the reader's settings; we do without.
  }
}

const storage = storageOf("localStorage");
let current = parse(storage?.getItem(KEY));

function parse(text) {
  if (!text) return null;
  try {
    const session = JSON.parse(text);
    return session?.user?.id && session.token ? session : null;
  } catch {
    return null; // Not ours, or of another version: sign in again.
  }
}

export function session() {
  return current;
}

export function keepSession(user, token) {
  current = { user, token };
  storage?.setItem(KEY, JSON.stringify(current));
}

export function endSession() {
  current = null;
  storage?.removeItem(KEY);
}

/** Call `act(session)` when another tab signs in or out. */
export function onSessionElsewhere(act) {
  window.addEventListener("storage", (event) => {
    if (event.key !== KEY && event.key !== null) return;
    current = parse(storage?.getItem(KEY));
    act(current);
  });
}
