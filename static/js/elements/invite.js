/** Inviting people to a cart by their e-mail address, and who is invited but hasn't come. */

import { h, keyed, setText } from "../app/dom.js";
import { field, form } from "./forms.js";
import { day } from "../app/time.js";
import { ROLE_NAMES } from "./people.js";
import { resendButton } from "./resend.js";
import { roleField } from "./share.js";

function invitedView({ invitation, email }, takeBack) {
  const facts = h("span.invited-facts", {});
  const address = h("span", { id: `invited-${invitation}` }, email);
  const props = { type: "button", "aria-describedby": address.id };
  const button = h("button", props, "Take back");
  button.addEventListener("click", () => takeBack(button, invitation, email));
  const update = ({ role, expires_at }) =>
    setText(facts, `${ROLE_NAMES[role]} · open until ${day(expires_at)}`);
  const text = h("div.invited-text", {}, address, facts);
  return { element: h("li.invited", {}, text, button), update };
}

/** Those who are invited: `{element, load}`. */
function pendingList(app, cart) {
  const views = new Map();
  const list = h("ul", { "aria-label": "Invited" });
  const told = h("p.finder-status", { role: "status" });

  const load = async () => {
    try {
      const found = await app.client.invitations(cart);
      keyed(
        list,
        views,
        found,
        ({ invitation }) => invitation,
        (one) => invitedView(one, takeBack),
      );
    } catch (error) {
      setText(told, error.message);
    }
  };

  const takeBack = async (button, invitation, email) => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      await app.client.uninvite(cart, invitation);
      setText(told, `The invitation of ${email} is taken back.`);
    } catch (error) {
      if (error.code === "not_found") setText(told, `${email} is no longer invited.`);
      else setText(told, error.message);
    } finally {
      button.removeAttribute("aria-disabled");
    }
    await load();
  };
  return { element: h("div", {}, told, list), load, tell: (text) => setText(told, text) };
}

function inviteForm(app, cart, pending) {
  const fields = {
    email: field("E-mail", {
      name: "invited-email",
      type: "email",
      required: true,
      autocomplete: "off",
      inputmode: "email",
      autocapitalize: "off",
      spellcheck: "false",
      maxlength: "254",
      autofocus: true,
    }),
    role: roleField(),
  };
  return form(fields, {
    label: "Invite",
    busyLabel: "Inviting…",
    attributes: { "aria-label": "Invite by e-mail" },
    send: async ({ email, role }) => {
      try {
        await app.client.invite(cart, email.trim(), role);
      } catch (error) {
        if (error.code === "bad_request") error.fields = { email: error.message };
        error.retryAfterS = error.extra?.retry_after_s;
        throw error;
      }
      fields.email.input.value = "";
      pending.tell(`An invitation is on its way to ${email.trim()}.`);
      fields.email.input.focus();
      await pending.load();
    },
  });
}

/** What one can do here, by who one is. */
export function invitePart(app, cart) {
  if (app.user.guest) {
    const register = h("a", { href: "#/register" }, "Create an account");
    return h("p.muted", {}, "Guests can't invite by e-mail. ", register, " to do so.");
  }
  if (!app.user.confirmed) {
    return h(
      "div.share-part",
      {},
      h("p.muted", {}, `Confirm your own address first: we mailed a link to ${app.user.email}.`),
      resendButton("Send it again"),
    );
  }
  const pending = pendingList(app, cart);
  pending.load();
  return h("div.share-part", {}, inviteForm(app, cart, pending), pending.element);
}
