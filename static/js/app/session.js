/**
 * Who is signed in, in this browser. A cookie that no script can read proves it; we know the user,
 * and the value that shows that a call is meant. All tabs share the cookie, so they tell each other.
 */

import { guardCalls } from "./api.js";
import { whoIsHere } from "./accounts.js";
import { recall, remember } from "./remembered.js";

const CHANNEL = "cartroom.session";
/** Where earlier versions of this page kept an access token. */
const OLD_KEY = "cartroom.session";
/** So long a page waits that knows who was here last. */
const IMPATIENT_MS = 4_000;
const RETRY_MS = 2_000;
const RETRY_MAX_MS = 30_000;

/** sessionStorage or localStorage, or null where the browser refuses it. */
export function storageOf(name) {
  try {
    const storage = window[name];
    storage.getItem(OLD_KEY);
    return storage;
  } catch {
    return null; // Blocked by the reader's settings; we do without.
  }
}

const kept = storageOf("localStorage");
kept?.removeItem(OLD_KEY);

const channel = new BroadcastChannel(CHANNEL);
const listeners = { ended: () => {}, changed: () => {}, replaced: () => {} };

/** `{user, csrf}` or null; without `csrf` while the service hasn't told who is signed in. */
let current = null;
/** How often somebody signed in, in another tab. */
let newcomers = 0;

/** The user who is signed in, or null. */
export function currentUser() {
  return current?.user ?? null;
}

/**
 * `ended()`: this browser's sign-in is over. `replaced()`: somebody (else) signed in, in another
 * tab. `changed(user)`: what is known of the user is another than before.
 */
export function onSession(given) {
  Object.assign(listeners, given);
}

/** Ask who is signed in, at the start. Rejects with an ApiError where there is no answer. */
export async function loadSession() {
  take(await whoIsHere({ timeoutMs: recall(kept) ? IMPATIENT_MS : undefined }));
}

/** Who was signed in when this browser was here last, as far as that is remembered, or null. */
export function lastUser() {
  return recall(kept);
}

/**
 * Go on as who was here last, as the service can't be reached; false: that was nobody. It is asked
 * until it answers.
 */
export function resumeSession() {
  const user = recall(kept);
  if (!user) return false;
  current = { user, csrf: null };
  askUntilKnown(current);
  return true;
}

async function askUntilKnown(assumed) {
  for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MAX_MS)) {
    await soonerOnline(waitMs);
    if (current !== assumed || assumed.csrf) return;
    await askAgain();
  }
}

/** Wait for so long, or until the network is back. */
function soonerOnline(waitMs) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, waitMs);
    window.addEventListener("online", done);
  });
}

/** Somebody signed in here: `{user, csrf_token}`. */
export function keepSession(answer) {
  take(answer);
  channel.postMessage("replaced");
}

/** Nobody is signed in here any more. */
export function endSession() {
  current = null;
  remember(kept, null);
  channel.postMessage("ended");
}

/** Take in what was changed of the user, here or elsewhere. */
export function updateUser(changes) {
  learn({ ...current.user, ...changes });
  channel.postMessage("changed");
}

/** Ask again: what we know may be old, such as whether the address is confirmed. */
export async function refreshUser() {
  const before = current?.user;
  await refresh();
  if (current && before && current.user !== before) channel.postMessage("changed");
}

async function refresh() {
  const before = current;
  if (!before) return;
  const heard = newcomers;
  const answer = await whoIsHere();
  if (current !== before) return; // Overtaken.
  if (!answer.user && heard !== newcomers) return refresh(); // It was asked with a cookie of before.
  if (answer.user === null) listeners.ended();
  else if (answer.user.id !== before.user.id) replace(answer);
  else {
    before.csrf = answer.csrf_token;
    learn(answer.user);
  }
}

function take(answer) {
  current = answer.user ? { user: answer.user, csrf: answer.csrf_token } : null;
  remember(kept, answer.user);
}

function replace(answer) {
  take(answer);
  listeners.replaced();
}

function learn(user) {
  if (JSON.stringify(user) === JSON.stringify(current.user)) return;
  current.user = user;
  remember(kept, user);
  listeners.changed(user);
}

/** Another tab says that it is over, but may have asked with a cookie of before. */
async function meetEnd() {
  const before = current;
  if (!before) return;
  try {
    await refresh();
  } catch {
    if (current === before) listeners.ended(); // Nobody can be asked.
  }
}

/** Ask in the background; what can't be asked now shows by the next call or the socket. */
export async function askAgain() {
  try {
    await refresh();
  } catch (error) {
    console.warn("Who is signed in could not be asked", error);
  }
}

channel.addEventListener("message", async ({ data }) => {
  if (data === "replaced") newcomers += 1;
  if (data === "ended") await meetEnd();
  else if (data === "changed") await askAgain();
  else if (data === "replaced") await meetNewcomer();
});

async function meetNewcomer() {
  if (current) {
    await askAgain();
    return;
  }
  try {
    const answer = await whoIsHere();
    if (answer.user && !current) replace(answer);
  } catch (error) {
    console.warn("Who signed in elsewhere could not be asked", error);
  }
}

// Somebody comes back to a tab: an address may have been confirmed on another device.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && current && !current.user.guest && !current.user.confirmed) {
    askAgain();
  }
});

guardCalls({
  csrf: () => current?.csrf ?? null,
  async renewed(used) {
    let fresh;
    if (current) {
      await askAgain();
      fresh = current?.csrf;
    } else {
      fresh = (await whoIsHere()).csrf_token; // Of a guest whom this page has lost sight of.
    }
    return fresh && fresh !== used ? fresh : null;
  },
  refused() {
    // A wrong password is refused alike, so this is no proof that the session is over.
    if (current) askAgain();
  },
});

