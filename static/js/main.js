/** The page: who is signed in, the view for the address, and header and banner around it. */

import { logout } from "./app/accounts.js";
import { forgetCarts } from "./app/carts.js";
import { closeDialogs, confirmed } from "./elements/dialogs.js";
import { h } from "./app/dom.js";
import "./elements/page-header.js";
import { useLocale } from "./app/locale.js";
import { keepPage } from "./app/offline.js";
import "./elements/page-banner.js";
import "./elements/loading-card.js";
import { errorCard } from "./elements/message-card.js";
import { HOME, reasonFor, SIGN_IN, viewFor } from "./app/routes.js";
import {
  currentUser,
  endSession,
  keepSession,
  lastUser,
  loadSession,
  onSession,
  refreshUser,
  resumeSession,
} from "./app/session.js";
import { tell, tellError } from "./elements/toasts.js";
import { forgetTyped } from "./views/entry/frame.js";

const ENDED = "You have been signed out. Sign in to go on where you were.";
const SETTLE_MS = 5_000;
const SLOW_START_MS = 600;
const START_RETRY_MS = 2_000;
const START_RETRY_MAX_MS = 30_000;
/** Refused by the socket, yet signed in for REST: more often than so in so long can't be right. */
const REFUSALS_MAX = 3;
const REFUSALS_MS = 30_000;

const root = document.getElementById("view");
const banner = h("page-banner", {});
document.getElementById("banner").append(banner);
const watchers = new Set();
/** The class of `app`, once somebody is signed in. */
let App = null;
let app = null;
/** Counts the views that were asked for: one that loads slowly gives way to the next. */
let turn = 0;
let header = null;
let notice = "";
/** Where somebody was, or wanted to go, who then had to sign in. */
let destination = HOME;
/** Somebody signs in or out right now: what the socket says of that is expected. */
let changing = false;
let refusedMeanwhile = false;
let refusals = [];

/** What views are lent that have to do with signing in and out. */
const desk = {
  /** Sign in by `ask()`; what a guest has done is sent before. */
  enter: (ask) => change(() => enter(ask)),
  guest: null,
  notice: "",
  leave,
  /**
   * Have `act()` end all sign-ins, ours too; `text` is told above the form then. `forget`: and
   * nothing of them stays in this browser.
   */
  endBy: (act, text, { forget = false } = {}) =>
    change(async () => {
      await act();
      if (forget) await app?.client.discard();
      signedOut(text);
    }),
  /** Sign in as somebody else, and come back. */
  signOut: () => leave({ comeBack: true }),
  /** A mailed link has done its work, so the address shouldn't name it any more. */
  used: () => history.replaceState(null, "", HOME),
  done: wasReset,
  /** The same view goes by another address now. */
  moved(hash) {
    history.replaceState(history.state, "", hash);
    destination = hash;
  },
  entered(cart) {
    history.replaceState(null, "", `#/cart/${cart}`);
    goTo();
  },
  onUser(act) {
    watchers.add(act);
    return () => watchers.delete(act);
  },
};

/** Do what changes who is signed in. */
async function change(act) {
  changing = true;
  refusedMeanwhile = false;
  try {
    await act();
  } finally {
    changing = false;
    if (refusedMeanwhile && app?.client.status === "stopped") refused();
  }
}

async function enter(ask) {
  app?.deletions.flush();
  if (app) await settled();
  await loadApp();
  const answer = await ask();
  forgetTyped();
  notice = "";
  keepSession(answer);
  history.replaceState(null, "", destination);
  start();
}

/** Wait until all changes of the guest are sent: they go along into the account. */
async function settled() {
  const { client } = app;
  if (!client.pending) return;
  await new Promise((resolve, reject) => {
    const done = () => {
      stop();
      clearTimeout(timer);
    };
    const stop = client.on("pending", () => {
      if (client.pending) return;
      done();
      resolve();
    });
    const timer = setTimeout(() => {
      done();
      const text = `${client.pending} of your changes are not saved yet. Try again shortly.`;
      reject(Object.assign(new Error(text), { code: "unavailable" }));
    }, SETTLE_MS);
  });
}

/** Sign out because somebody wants to; `comeBack`: sign in again here. */
async function leave({ comeBack = false } = {}) {
  if (!(await mayLeave())) return;
  await Promise.race([app.deletions.flush(), new Promise((done) => setTimeout(done, SETTLE_MS))]);
  await change(async () => {
    try {
      await logout();
    } catch (error) {
      if (error.status !== 401) {
        tellError(error);
        return;
      }
    }
    if (!app) return; // It was over already.
    if (!comeBack) history.replaceState(null, "", SIGN_IN);
    destination = comeBack ? location.hash : HOME;
    await app.client.discard();
    endSession();
    start();
  });
}

function mayLeave() {
  const waiting = app.client.pending;
  if (app.user.guest) {
    const text = "Nobody can come back as this guest: carts that only you are in can't be opened.";
    return confirmed("Sign out as a guest?", text, "Sign out");
  }
  if (!waiting) return true;
  const text = `${waiting} of your changes are not saved yet; they will be lost.`;
  return confirmed("Sign out now?", text, "Sign out");
}

/** Our own doing has ended all sign-ins. `text` is told above the form. */
function signedOut(text) {
  notice = text;
  destination = HOME;
  history.replaceState(null, "", SIGN_IN);
  endSession();
  start();
}

/** The sign-in is over. Changes that wait belong to who made them, and wait for them. */
function ended() {
  if (changing || !app) return;
  const waiting = app.client.pending;
  if (viewFor(location.hash || HOME, null)?.kind === "public") {
    history.replaceState({ destination: location.hash || HOME }, "", SIGN_IN);
  }
  notice = waiting ? `${ENDED} ${waiting} of your changes are sent once you do.` : ENDED;
  endSession();
  start();
}

/** The socket says that we aren't signed in. A new cookie may have come meanwhile. */
async function refused() {
  refusedMeanwhile = true;
  if (changing) return;
  const before = app;
  const now = Date.now();
  refusals = [...refusals.filter((at) => now - at < REFUSALS_MS), now];
  try {
    await refreshUser();
  } catch (error) {
    console.warn("Who is signed in could not be asked", error);
  }
  if (app !== before || app.client.status !== "stopped") return;
  if (refusals.length > REFUSALS_MAX) ended();
  else app.client.start();
}

/** A new password is set, which ends the sign-ins of its account: ours, most likely. */
async function wasReset(text) {
  history.replaceState(null, "", SIGN_IN);
  destination = HOME;
  try {
    await refreshUser();
  } catch (error) {
    console.warn("Who is signed in could not be asked", error);
  }
  if (app) tell(text);
  else notice = text;
  await goTo();
}

/** What is for who is signed in, the library with it; a first visit does without. */
async function loadApp() {
  ({ App } = await import("./app/app.js"));
}

/** Build everything anew for who is signed in now, or for nobody. */
function start() {
  app?.end();
  app = null;
  const user = currentUser();
  useLocale(user?.locale);
  if (user) {
    app = new App(user, refused);
    app.client.dormant = document.hidden;
  } else {
    forgetCarts();
  }
  header = h("page-header", { app, signOut: () => leave() });
  document.getElementById("header").replaceChildren(header);
  banner.user = user;
  root.replaceChildren(); // Nothing of who was here before stays in sight while the next view loads.
  goTo();
}

/** What is known of the user has changed. */
function learned(user) {
  app.user = user;
  useLocale(user.locale);
  header.learned();
  banner.user = user;
  for (const watch of watchers) watch(user);
}

/** Show what the address names. Resolves once it is there. */
async function route() {
  closeDialogs();
  const hash = location.hash || HOME;
  const view = viewFor(hash, app?.user ?? null);
  if (!view) {
    location.replace(app && hash === SIGN_IN ? destination : HOME);
    return;
  }
  rememberDestination(hash, view);
  desk.guest = app?.user ?? null;
  desk.notice = notice || (view.kind === "entry" ? reasonFor(destination) : "");
  if (view.kind === "entry") notice = "";
  turn += 1;
  const mine = turn;
  const wanted = () => {
    if (turn !== mine) return false;
    document.title = `${view.title} · Cartroom`;
    return true;
  };
  try {
    await view.show(root, { app, desk, wanted });
  } catch (error) {
    console.warn("A part of the page could not be loaded", error);
    if (wanted()) root.replaceChildren(unloadedCard());
  }
  if (turn === mine) markCurrent(hash);
}

/** Show what the address names, and have the screen read from its heading. */
async function goTo() {
  await route();
  focusHeading();
}

function unloadedCard() {
  const text = navigator.onLine ? "The service did not answer." : "You are offline.";
  return errorCard("This could not be loaded", text, goTo, { level: 1 });
}

/** Forms of entry remember where to go then, over reloads too: in the history, as the address is. */
function rememberDestination(hash, view) {
  if (view.kind === "inside" || view.kind === "public" || view.asked) destination = hash;
  if (view.kind !== "entry" || view.asked) return;
  const kept = history.state?.destination;
  if (typeof kept === "string" && kept.startsWith("#/")) destination = kept;
  else history.replaceState({ ...history.state, destination }, "");
}

function markCurrent(hash) {
  for (const link of document.querySelectorAll("#header :is(nav a, .bell), .subnav a")) {
    if (link.hash === hash) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Readers of the screen hear where they are; the heading takes no ring, as nobody tabbed to it. */
function focusHeading() {
  root.querySelector("h1")?.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

/** Find out who is signed in; until that is known there is nothing to show. */
async function begin() {
  loadAhead();
  const slow = setTimeout(() => root.replaceChildren(connectingCard()), SLOW_START_MS);
  for (let waitMs = START_RETRY_MS; ; waitMs = Math.min(2 * waitMs, START_RETRY_MAX_MS)) {
    try {
      await meet();
      break;
    } catch (error) {
      clearTimeout(slow);
      await untilAsked(error, waitMs);
    }
  }
  clearTimeout(slow);
  start();
}

/** Have the view come meanwhile; it will most likely be for who was here last. */
async function loadAhead() {
  const user = lastUser();
  try {
    await Promise.all([viewFor(location.hash || HOME, user)?.load(), user && loadApp()]);
  } catch (error) {
    console.warn("A part of the page could not be loaded in advance", error);
  }
}

/** Who is signed in; where nobody can be asked, who was here last. Rejects if that is nobody. */
async function meet() {
  try {
    await loadSession();
  } catch (error) {
    if (!resumeSession()) throw error;
  }
  if (currentUser()) await loadApp();
}

function connectingCard() {
  return h("loading-card", { heading: "Connecting…", rows: 2 });
}

/** Say that the service is away, and wait: for so long, the network, or who doesn't want to. */
function untilAsked(error, waitMs) {
  return new Promise((resolve) => {
    const now = () => {
      clearTimeout(timer);
      window.removeEventListener("online", now);
      resolve();
    };
    const timer = setTimeout(now, Math.max(waitMs, 1000 * (error.retryAfterS ?? 0)));
    window.addEventListener("online", now);
    const text = navigator.onLine ? "The service can't be reached right now." : "You are offline.";
    root.replaceChildren(
      h("message-card", {
        kind: "wait",
        heading: "Not connected",
        text: `${text} This page tries again by itself.`,
        level: 1,
        actions: [h("button", { type: "button", onclick: now }, "Try now")],
      }),
    );
  });
}

// Before it is known who is here there is nothing to show.
window.addEventListener("hashchange", () => header && goTo());
document.addEventListener("click", (event) => {
  // A link to where we are means: show it anew.
  const link = event.target.closest("a[href^='#/']");
  if (link && link.hash === location.hash) route();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // The address names the view.
  root.querySelector("h1")?.focus();
});
window.addEventListener("online", () => app?.client.wake());
window.addEventListener("offline", () => app?.client.wake());
document.addEventListener("visibilitychange", () => {
  if (app) app.client.dormant = document.hidden;
});
window.addEventListener("beforeunload", (event) => {
  // Where they can't be stored, changes that wait live in this page only.
  if (app?.client.pending && !app.client.durable) event.preventDefault();
});
onSession({
  ended,
  changed: learned,
  async replaced() {
    if (changing) return;
    await loadApp();
    start();
    tell(`You are signed in as ${app.user.name} now.`);
  },
});

begin();
keepPage();
