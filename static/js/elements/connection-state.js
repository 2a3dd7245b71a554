/** The connection's state in words, and what of ours isn't saved yet. */

import { h, setText } from "../app/dom.js";
import { define, Element } from "./element.js";

/** A state that passes sooner isn't worth a word. */
const SETTLED_MS = 1_200;

function changes(count) {
  return count === 1 ? "1 change" : `${count} changes`;
}

/**
 * `{kind, text}` for the client's `status` and how many changes are `pending`. `wasLive`: it has
 * been live before, so that this is a reconnect. `online` is what the browser says of the network.
 */
export function stateOf(status, pending, wasLive, online) {
  if (status === "live") {
    return pending
      ? { kind: "saving", text: `Saving ${changes(pending)}` }
      : { kind: "live", text: "Live" };
  }
  if (status === "failed") return { kind: "off", text: "Not connected: reload the page" };
  const waiting = pending ? `: ${changes(pending)} waiting` : "";
  if (!online) return { kind: "off", text: `Offline${waiting}` };
  if (wasLive) return { kind: "wait", text: waiting ? `Reconnecting${waiting}` : "Reconnecting…" };
  return { kind: "wait", text: waiting ? `Connecting${waiting}` : "Connecting…" };
}

/**
 * `<connection-state>` with `client`, the library's. Screen readers hear of a state that lasts,
 * once; each change being saved is nothing to be told of.
 */
export class ConnectionState extends Element {
  client = null;
  #shown;
  #text = h("span.status-text", {});
  #told = h("span.unseen", { role: "status" });
  #wasLive = false;
  #heard = "live";
  #timer = null;

  build() {
    const dot = h("span.status-dot", { "aria-hidden": "true" });
    this.#shown = h("p.status", {}, dot, this.#text);
    this.append(this.#shown, this.#told);
  }

  connected() {
    const update = () => this.#update();
    for (const name of ["status", "pending"]) this.follow(this.client, name, update);
    for (const name of ["online", "offline"]) this.follow(window, name, update);
    this.until(() => clearTimeout(this.#timer));
    update();
  }

  #update() {
    const { status, pending } = this.client;
    this.#wasLive ||= status === "live";
    const { kind, text } = stateOf(status, pending, this.#wasLive, navigator.onLine);
    if (this.#shown.dataset.kind !== kind) this.#shown.dataset.kind = kind;
    setText(this.#text, text);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(kind, text), SETTLED_MS);
  }

  #tell(kind, text) {
    const heard = kind === "saving" ? "live" : kind;
    if (heard === this.#heard) return;
    this.#heard = heard;
    setText(this.#told, kind === "live" ? "Connected" : text);
  }
}

define("connection-state", ConnectionState);
