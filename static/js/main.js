/** The page: picks the view for the address, and keeps header and connection state around it. */

import { claimIdentity } from "../sdk/cartroom.js";
import { App } from "./app.js";
import { closeDialogs, confirmed } from "./dialogs.js";
import { showHeader } from "./header.js";
import { endSession, keepSession, onSessionElsewhere, session, storageOf } from "./session.js";
import { showCart } from "./views/cart.js";
import { showCarts } from "./views/carts.js";
import { showProducts } from "./views/products.js";
import { showSignIn } from "./views/signin.js";

const ROUTES = [
  { pattern: /^#\/cart\/(crt_[\w-]+)$/, show: showCart, title: "Cart" },
  { pattern: /^#\/carts$/, show: showCarts, title: "My carts" },
  { pattern: /^#\/products$/, show: showProducts, title: "Products" },
];
const HOME = "#/carts";
const SIGN_IN = /^#\/(signin|register)$/;

const root = document.getElementById("view");
const identity = await claimIdentity(storageOf("sessionStorage"), navigator.locks);
let app = null;
let leaveView = () => {};
let stopHeader = () => {};
let notice = "";
/** Where somebody wanted to go who had to sign in first. */
let destination = HOME;

function signedIn(user, token) {
  keepSession(user, token);
  history.replaceState(null, "", destination);
  start();
}

/** Forget who was signed in. `why` is told above the form. */
function signOut(why = "") {
  notice = why;
  endSession();
  start();
}

/** The token counts no longer. Changes that wait belong to who made them, so they end with it. */
function sessionEnded() {
  const lost = app.client.pending;
  const why = "Your session has ended. Please sign in again.";
  signOut(lost ? `${why} ${lost} of your changes were not saved.` : why);
}

async function askAndSignOut() {
  const waiting = app.client.pending;
  const text = `${waiting} of your changes are not saved yet; they will be lost.`;
  if (waiting && !(await confirmed("Sign out now?", text, "Sign out"))) return;
  signOut();
}

/** Build everything anew for the present session, or for nobody. */
function start() {
  leaveView();
  leaveView = () => {};
  stopHeader();
  app?.end();
  app = null;
  const current = session();
  if (current) {
    app = new App(current, identity, sessionEnded);
    app.client.dormant = document.hidden;
  }
  stopHeader = showHeader(document.getElementById("header"), app, askAndSignOut);
  route();
}

function route() {
  closeDialogs();
  leaveView();
  leaveView = () => {};
  const hash = location.hash || HOME;
  if (!app) {
    if (!SIGN_IN.test(hash)) destination = hash;
    const mode = hash === "#/register" ? "register" : "signin";
    leaveView = showSignIn(root, { mode, notice, done: signedIn }) ?? (() => {});
    notice = "";
    document.title = "Sign in · Cartroom";
    return;
  }
  for (const { pattern, show, title } of ROUTES) {
    const match = pattern.exec(hash);
    if (!match) continue;
    document.title = `${title} · Cartroom`;
    leaveView = show(root, app, match[1]) ?? (() => {});
    markCurrent(hash);
    return;
  }
  location.replace(HOME);
}

function markCurrent(hash) {
  for (const link of document.querySelectorAll("#header nav a")) {
    if (link.hash === hash) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

window.addEventListener("hashchange", () => {
  route();
  // Readers of the screen hear where they are; the heading takes no ring, as nobody tabbed to it.
  root.querySelector("h1")?.focus({ preventScroll: true });
  window.scrollTo(0, 0);
});
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
  // Changes that wait live in this page only.
  if (app?.client.pending) event.preventDefault();
});
onSessionElsewhere(() => start());

start();
