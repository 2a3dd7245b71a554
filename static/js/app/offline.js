/**
 * Has the browser keep the page, so that it opens without a network, too. Where it can't, by its
 * kind or somebody's settings, the page works all the same.
 */

const WORKER = "/sw.js";

/** Once all else is loaded: what is kept is for the next time. */
export function keepPage() {
  if (!window.isSecureContext || !navigator.serviceWorker) return;
  if (document.readyState === "complete") register();
  else window.addEventListener("load", register, { once: true });
}

async function register() {
  try {
    await navigator.serviceWorker.register(WORKER);
  } catch (error) {
    console.warn("The page can't be kept for when there is no network", error);
  }
}
