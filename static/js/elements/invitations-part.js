/** Inviting people to a cart by their e-mail address, and who is invited but hasn't come. */

import { h, keyed, setText } from "../app/dom.js";
import { ROLE_NAMES } from "../app/roles.js";
import { day } from "../app/time.js";
import { define, Element } from "./element.js";
import { form } from "./forms.js";
import { emailField, roleField } from "./share-fields.js";
import { resendButton } from "./resend-mail.js";

function invitedView({ invitation, email }, takeBack) {
  const facts = h("span.invited-facts", {});
  const address = h("span.invited-address", { id: `invited-${invitation}` }, email);
  const props = { type: "button", "aria-describedby": address.id };
  const button = h("button", props, "Take back");
  button.addEventListener("click", () => takeBack(button, invitation, email));
  const update = ({ role, expires_at }) =>
    setText(facts, `${ROLE_NAMES[role]} · open until ${day(expires_at)}`);
  const text = h("div.invited-text", {}, address, facts);
  return { element: h("li.invited", {}, text, button), update };
}

/** `<invitations-part>` with the `desk` of its cart; `load()` brings the list up to date. */
export class InvitationsPart extends Element {
  desk;
  #views = new Map();
  #list = h("ul.invited-list", { "aria-label": "Invited" });
  #told = h("p.finder-status", { role: "status" });
  #allowed = false;

  build() {
    const { user } = this.desk.app;
    this.classList.add("share-part");
    if (user.guest) {
      const register = h("a", { href: "#/register" }, "Create an account");
      this.append(h("p.muted", {}, "Guests can't invite by e-mail. ", register, " to do so."));
    } else if (!user.confirmed) {
      const where = user.email ? `a link to ${user.email}` : "you a link";
      const text = `Confirm your own address first: we mailed ${where}.`;
      this.append(h("p.muted", {}, text), resendButton("Send it again"));
    } else {
      this.#allowed = true;
      this.append(this.#form(), this.#told, this.#list);
      this.load();
    }
  }

  async load() {
    if (!this.#allowed) return;
    const { app, room } = this.desk;
    const takeBack = (...facts) => this.#takeBack(...facts);
    try {
      const found = await app.client.invitations(room.cart);
      keyed(
        this.#list,
        this.#views,
        found,
        ({ invitation }) => invitation,
        (one) => invitedView(one, takeBack),
      );
    } catch (error) {
      setText(this.#told, error.message);
    }
  }

  #form() {
    const fields = { email: emailField(), role: roleField() };
    return form(fields, {
      label: "Invite",
      busyLabel: "Inviting…",
      attributes: { "aria-label": "Invite by e-mail", class: "share-form" },
      send: ({ email, role }) => this.#invite(fields, email.trim(), role),
    });
  }

  async #invite(fields, email, role) {
    const { app, room } = this.desk;
    try {
      await app.client.invite(room.cart, email, role);
    } catch (error) {
      if (error.code === "bad_request") error.fields = { email: error.message };
      error.retryAfterS = error.extra?.retry_after_s;
      throw error;
    }
    fields.email.input.value = "";
    setText(this.#told, `An invitation is on its way to ${email}.`);
    fields.email.input.focus();
    await this.load();
  }

  async #takeBack(button, invitation, email) {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    const { app, room } = this.desk;
    try {
      await app.client.uninvite(room.cart, invitation);
      setText(this.#told, `The invitation of ${email} is taken back.`);
    } catch (error) {
      if (error.code === "not_found") setText(this.#told, `${email} is no longer invited.`);
      else setText(this.#told, error.message);
    } finally {
      button.removeAttribute("aria-disabled");
    }
    await this.load();
    if (!button.isConnected) this.querySelector("input")?.focus();
  }
}

define("invitations-part", InvitationsPart);
