/** Where one is signed in, and signing out there. */

import { listDevices, logoutEverywhere, signOutDevice } from "../../app/accounts.js";
import { confirmed } from "../../elements/dialogs.js";
import { h, keyed, setText } from "../../app/dom.js";
import { ago, day } from "../../app/time.js";
import { tell, tellError } from "../../elements/toasts.js";
import { showPage } from "./frame.js";

const KINDS = { cookie: "In a browser", token: "In an app" };

function deviceView({ id, device }, { leave, act }) {
  const facts = h("span.device-facts", {});
  const here = h("span.here-mark", {});
  const name = h("span.device-name", { id: `device-${id}` }, device);
  const button = h("button", { type: "button", "aria-describedby": `device-${id}` }, "Sign out");
  let current = false;
  button.addEventListener("click", async () => {
    if (current) leave();
    else await act(button, () => signOutDevice(id), `You are signed out on ${device}.`);
  });
  const update = (fresh) => {
    ({ current } = fresh);
    here.hidden = !current;
    setText(here, current ? "This device" : "");
    const used = current ? "in use now" : `last used ${ago(fresh.used_at)}`;
    setText(facts, `${KINDS[fresh.kind]} · since ${day(fresh.created_at)} · ${used}`);
  };
  const text = h("div.device-text", {}, h("span.device-title", {}, name, here), facts);
  return { element: h("li.device", {}, text, button), update };
}

/** `leave()` signs out here; `endBy(act, notice)` does what ends all sign-ins. */
export function showDevices(root, app, { leave, endBy }) {
  const abort = new AbortController();
  const views = new Map();
  const list = h("ul.devices", { "aria-label": "Devices" });
  const told = h("p.finder-status", { role: "status" }, "Loading your devices…");

  const load = async () => {
    try {
      const { items } = await listDevices(abort.signal);
      const sorted = items.toSorted((one, other) => other.current - one.current);
      keyed(
        list,
        views,
        sorted,
        ({ id }) => id,
        (device) => deviceView(device, { leave, act }),
      );
      setText(told, "");
    } catch (error) {
      if (!abort.signal.aborted) setText(told, error.message);
    }
  };

  const act = async (button, deed, done) => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      await deed();
      tell(done);
    } catch (error) {
      if (error.status === 404) tell(done); // It was over already.
      else tellError(error);
    } finally {
      button.removeAttribute("aria-disabled");
    }
    await load();
    if (!button.isConnected && !abort.signal.aborted) list.querySelector("button")?.focus();
  };

  const leaveAll = async () => {
    const text = "You will be signed out here too, and in every app and browser.";
    if (!(await confirmed("Sign out everywhere?", text, "Sign out everywhere"))) return;
    try {
      await endBy(logoutEverywhere, "You are signed out everywhere.");
    } catch (error) {
      tellError(error);
    }
  };

  const change = h("a", { href: "#/account/password" }, "change your password");
  const advice = app.user.guest ? null : [" Then ", change, "."];
  showPage(root, app, "Devices", [
    h("p.muted", {}, "Where you are signed in. If you don't know one, sign out there.", advice),
    told,
    list,
    h(
      "div.cart-actions",
      {},
      h("button.danger", { type: "button", onclick: leaveAll }, "Sign out everywhere"),
    ),
  ]);
  const refresh = () => !document.hidden && load();
  document.addEventListener("visibilitychange", refresh);
  load();
  return () => {
    abort.abort();
    document.removeEventListener("visibilitychange", refresh);
  };
}
