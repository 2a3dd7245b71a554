/**
 * Keeps the page for when the service can't be reached. It is served with `SHELL` put before it:
 * `{prefix, files}`, where this version's files are, and which of them the page needs.
 *
 * The page itself comes from the service whenever that answers in time. Files of a version never
 * change, so they come from here. All else (REST, the socket, other pages) is none of our business.
 */

/* global SHELL */

const CACHE = `cartroom.shell ${SHELL.prefix}`;
const PAGE = "/";
const ANSWER_MS = 3_000;
/** A page that was open before a new version came goes on with its files. */
const VERSIONS_KEPT = 2;

self.addEventListener("install", (event) => {
  event.waitUntil(install());
});

self.addEventListener("activate", (event) => {
  event.waitUntil(activate());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  if (request.mode === "navigate" && pathname === PAGE) event.respondWith(page(event));
  else if (pathname.startsWith("/static/~")) event.respondWith(file(request));
});

/** Keep everything, or nothing; then the version of before goes on, and this is tried again. */
async function install() {
  const [answer, ...files] = await Promise.all(
    [PAGE, ...SHELL.files].map((path) => ask(path, path === PAGE)),
  );
  // While instances are being replaced, another one may have answered.
  if (!(await answer.clone().text()).includes(SHELL.prefix)) throw new Error("Another version");
  const cache = await caches.open(CACHE);
  await Promise.all(files.map((file, at) => cache.put(SHELL.files[at], file)));
  await cache.put(PAGE, answer);
  await self.skipWaiting();
}

async function ask(path, anew) {
  const answer = await fetch(path, { cache: anew ? "no-cache" : "default" });
  const kept = anew || answer.headers.get("cache-control")?.includes("immutable");
  if (!answer.ok || !kept) throw new Error(`${path} can't be kept`);
  return answer;
}

/** Pages that are open are looked after from now on, and caches of long ago go. */
async function activate() {
  const ours = (await caches.keys()).filter((name) => name.startsWith("cartroom.shell "));
  const others = ours.filter((name) => name !== CACHE);
  const old = others.slice(0, Math.max(0, others.length - (VERSIONS_KEPT - 1)));
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

/** The page from the service, or ours where that is away or slow. */
async function page(event) {
  const asked = fetch(event.request);
  const late = new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
  try {
    const answer = await Promise.race([asked, late]);
    if (answer && answer.status < 500) return answer;
  } catch {
    // The service can't be reached.
  }
  const cache = await caches.open(CACHE);
  return (await cache.match(PAGE, { ignoreVary: true })) ?? asked;
}

async function file(request) {
  // Who asks makes no difference, and in what coding it once came neither.
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}
