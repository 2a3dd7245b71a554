/** The page's head: where to go, who is signed in, and the connection's state in words. */

import { h, icon, setText } from "../app/dom.js";

const STATUS_KIND = { live: "live", stopped: "off", failed: "off" };

function changes(count) {
  return count === 1 ? "1 change" : `${count} changes`;
}

/** `wasLive`: the connection has been there before, so this is a reconnect. */
export function statusText(status, pending, wasLive, online) {
  if (status === "live") return pending ? `Live · saving ${changes(pending)}` : "Live";
  if (status === "failed") return "Not connected · reload the page";
  const waiting = pending ? ` · ${changes(pending)} waiting` : "";
  if (!online) return `Offline${waiting}`;
  return `${wasLive ? "Reconnecting…" : "Connecting…"}${waiting}`;
}

function statusView(client) {
  const text = h("span.status-text", {});
  const element = h(
    "p.status",
    { role: "status" },
    h("span.status-dot", { "aria-hidden": "true" }),
    text,
  );
  let wasLive = false;
  const update = () => {
    wasLive ||= client.status === "live";
    const kind = STATUS_KIND[client.status] ?? (navigator.onLine ? "wait" : "off");
    if (element.dataset.kind !== kind) element.dataset.kind = kind;
    setText(text, statusText(client.status, client.pending, wasLive, navigator.onLine));
  };
  const stops = [client.on("status", update), client.on("pending", update)];
  for (const name of ["online", "offline"]) window.addEventListener(name, update);
  update();
  const stop = () => {
    stops.forEach((end) => end());
    for (const name of ["online", "offline"]) window.removeEventListener(name, update);
  };
  return { element, stop };
}

/** Who is signed in, and the way out: `{element, update(user)}`. */
function accountView(signOut) {
  const name = h("a.account-name", { href: "#/account" });
  const guest = h("span.guest-mark", {}, "Guest");
  const update = (user) => {
    setText(name, user.name);
    name.title = user.email ?? "Guest";
    guest.hidden = !user.guest;
  };
  const out = h("button.quiet", { type: "button", onclick: signOut }, "Sign out");
  return { element: h("div.account", {}, name, guest, out), update };
}

/** Fill `root`; `app` null: nobody is signed in. Returns `{update(user), stop}`. */
export function showHeader(root, app, signOut) {
  const brand = h("a.brand", { href: "#/carts" }, icon("cart"), "Cartroom");
  if (!app) {
    root.replaceChildren(brand);
    return { update: () => {}, stop: () => {} };
  }
  const status = statusView(app.client);
  const account = accountView(signOut);
  account.update(app.user);
  root.replaceChildren(
    brand,
    h(
      "nav",
      { "aria-label": "Main" },
      h("a", { href: "#/carts" }, "My carts"),
      h("a", { href: "#/products" }, "Products"),
    ),
    status.element,
    account.element,
  );
  return { update: account.update, stop: status.stop };
}
