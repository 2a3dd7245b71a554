/** Who is in a cart, and letting somebody in: by mail, or by the id that everybody finds here. */

import { dialog } from "./dialogs.js";
import { h, setText } from "../app/dom.js";
import { define, Element } from "./element.js";
import { form } from "./forms.js";
import "./invitations-part.js";
import "./member-list.js";
import "./own-id.js";
import { roleField, userField } from "./share-fields.js";

/** `<share-panel>` with the `desk` of its cart: what its owner may do, and what others see. */
export class SharePanel extends Element {
  desk;
  #members;
  #invitations;
  #told;
  #known = null;

  build() {
    const { desk } = this;
    this.classList.add("share-panel");
    this.#members = h("member-list", { desk });
    this.#told = h("p.told.good", { role: "status" });
    this.#invitations = desk.owns ? h("invitations-part", { desk }) : null;
    const people = h("section.share-part", {}, h("h3", {}, "In this cart"), this.#members);
    if (desk.owns) {
      this.append(
        h("section.share-part", {}, h("h3", {}, "Invite by e-mail"), this.#invitations),
        people,
        h("section.share-part", {}, h("h3", {}, "Let in by id"), this.#form(), this.#told),
      );
    } else {
      this.append(h("p.notice.info", {}, this.#whoOwns()), people);
    }
    this.append(h("own-id", { user: desk.me }));
  }

  connected() {
    this.follow(this.desk.room, "change", () => this.#draw());
    this.#draw();
  }

  #draw() {
    const { room } = this.desk;
    if (!room.state) return;
    this.desk.takePresence();
    this.#members.draw(room.state);
    // Who has come is no longer invited.
    if (this.#known && this.#known !== room.state.members) this.#invitations?.load();
    this.#known = room.state.members;
  }

  #whoOwns() {
    const owner = this.desk.room.state.members.find(({ role }) => role === "owner");
    const name = owner?.name ?? "Nobody here";
    return `${name} owns this cart. Only the owner lets people in, changes roles or removes somebody.`;
  }

  #form() {
    const fields = { user: userField(), role: roleField() };
    return form(fields, {
      label: "Share",
      busyLabel: "Sharing…",
      attributes: { "aria-label": "Share by id", class: "share-form" },
      send: async ({ user, role }) => {
        setText(this.#told, "");
        await this.#grant(user.trim(), role);
        fields.user.input.value = "";
        setText(this.#told, `${this.desk.person(user.trim())} is in the cart now.`);
      },
    });
  }

  async #grant(user, role) {
    try {
      await this.desk.room.op({ kind: "share", users: [{ user, role }] });
    } catch (error) {
      error.fields = { user: error.message };
      throw error;
    }
  }
}

define("share-panel", SharePanel);

/** Show it as a dialog; resolves when that is closed. */
export function shareDialog(desk) {
  const title = desk.owns ? "Share this cart" : "Who is in this cart";
  return dialog(title, () => h("share-panel", { desk }));
}
