/** Where one is signed in, and signing out there. */

import { listDevices, logoutEverywhere, signOutDevice } from "../../app/accounts.js";
import { h, keyed, setText } from "../../app/dom.js";
import { ago, day } from "../../app/time.js";
import { confirmed } from "../../elements/dialogs.js";
import { define } from "../../elements/element.js";
import "../../elements/loading-card.js";
import { errorCard } from "../../elements/message-card.js";
import { tell, tellError } from "../../elements/toasts.js";
import { AccountView } from "./frame.js";

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

/**
 * `<devices-view>`; `desk.leave()` signs out here, `desk.endBy(act, notice)` does what ends all
 * sign-ins.
 */
export class DevicesView extends AccountView {
  #views = new Map();
  #list = h("ul.devices", { "aria-label": "Devices", hidden: true });
  /** What stands in the list's place. */
  #instead = h("div", {}, h("loading-card", { heading: "Loading your devices…", rows: 2, level: 2 }));
  #abort = new AbortController();

  build() {
    const change = h("a", { href: "#/account/password" }, "change your password");
    const advice = this.app.user.guest ? null : [" Then ", change, "."];
    const onclick = () => this.#leaveAll();
    const leaveAll = h("button.danger", { type: "button", onclick }, "Sign out everywhere");
    this.page("Devices", [
      h("p.muted", {}, "Where you are signed in. If you don't know one, sign out there.", advice),
      this.#instead,
      this.#list,
      h("div.actions", {}, leaveAll),
    ]);
  }

  connected() {
    this.follow(document, "visibilitychange", () => !document.hidden && this.#load());
    this.follow(window, "online", () => this.#load());
    this.#load();
  }

  disconnected() {
    this.#abort.abort();
  }

  async #load() {
    try {
      const { items } = await listDevices(this.#abort.signal);
      this.#show(items.toSorted((one, other) => other.current - one.current));
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#showFailed(error);
    }
  }

  #show(devices) {
    const { leave } = this.desk;
    const act = (...deed) => this.#act(...deed);
    keyed(
      this.#list,
      this.#views,
      devices,
      ({ id }) => id,
      (device) => deviceView(device, { leave, act }),
    );
    this.#list.hidden = false;
    this.#instead.replaceChildren();
    this.#instead.hidden = true;
  }

  #showFailed({ message }) {
    const card = errorCard("Your devices can't be shown", message, () => this.#load());
    this.#list.hidden = true;
    this.#instead.replaceChildren(card);
    this.#instead.hidden = false;
  }

  async #act(button, deed, done) {
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
    await this.#load();
    if (!button.isConnected && this.isConnected) this.#list.querySelector("button")?.focus();
  }

  async #leaveAll() {
    const text = "You will be signed out here too, and in every app and browser.";
    if (!(await confirmed("Sign out everywhere?", text, "Sign out everywhere"))) return;
    try {
      await this.desk.endBy(logoutEverywhere, "You are signed out everywhere.");
    } catch (error) {
      tellError(error);
    }
  }
}

define("devices-view", DevicesView);
