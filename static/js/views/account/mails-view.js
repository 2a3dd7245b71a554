/** Which mails one gets, and when. */

import { changeProfile } from "../../app/accounts.js";
import { h, setText } from "../../app/dom.js";
import { refreshUser } from "../../app/session.js";
import { ownTimeZone, timeZoneLabel, timeZoneOptions } from "../../elements/choices.js";
import { define } from "../../elements/element.js";
import { checkbox, field, form, radios } from "../../elements/forms.js";
import { tell } from "../../elements/toasts.js";
import { Choices, followUser } from "./choices.js";
import { AccountView } from "./frame.js";

const CHANGES = [
  { value: "digest", label: "Once a day", hint: "One mail that sums up what you haven't seen." },
  {
    value: "at_once",
    label: "Soon after they happen",
    hint: "What somebody does within some minutes comes in one mail.",
  },
  { value: "none", label: "Not at all", hint: "Your inbox here has them all the same." },
];
const DIGEST_AT = "08:00";
const QUIET_HOURS = { from: "22:00", to: "07:00" };
const TIME_ZONE = "UTC";

function time(label, name) {
  return field(label, { id: name, name, type: "time", required: true });
}

/** `chosen` is null where nobody has chosen yet: then that of this device is a good guess. */
function zoneField(chosen) {
  const own = ownTimeZone();
  const options = timeZoneOptions(chosen);
  const hint = !chosen && own ? "As this device has it. It counts once you save." : undefined;
  const attributes = { id: "time_zone", name: "time_zone" };
  const made = field("Time zone", attributes, { control: "select", options, hint });
  const offer = h("button.quiet.small", { type: "button" });
  if (own) setText(offer, `Use ${timeZoneLabel(own)}, as on this device`);
  const show = () => (offer.hidden = !own || made.input.value === own);
  offer.addEventListener("click", () => {
    made.input.value = own;
    show();
    made.input.focus();
  });
  made.input.addEventListener("change", show);
  made.element.append(offer);
  made.show = (zone) => {
    made.input.value = zone ?? own ?? TIME_ZONE;
    // One that this browser doesn't know was chosen in another.
    if (zone && made.input.value !== zone) {
      made.input.append(h("option", { value: zone }, timeZoneLabel(zone)));
      made.input.value = zone;
    }
    show();
  };
  return made;
}

function fieldsFor({ time_zone }) {
  return {
    shared: checkbox("Mail me when somebody lets me into a cart", { id: "shared", name: "shared" }),
    changes: radios("Mail me what others change in my carts", "changes", CHANGES),
    digest_at: time("At what time of day", "digest_at"),
    quiet: checkbox("Keep quiet at night", {
      ...{ id: "quiet", name: "quiet" },
      hint: "Mails about carts wait until these hours are over.",
    }),
    from: time("Quiet from", "from"),
    to: time("Quiet until", "to"),
    time_zone: zoneField(time_zone),
  };
}

/** What the fields stand for, as the service has it. */
function partsOf({ shared, changes, digest_at, quiet, from, to, time_zone }) {
  const put = (made) => (value) => (made.input.value = value);
  return {
    shared: {
      of: ({ notifications }) => notifications?.shared ?? true,
      read: () => shared.input.checked,
      show: (value) => (shared.input.checked = value),
    },
    changes: {
      of: ({ notifications }) => notifications?.changes ?? "digest",
      read: () => changes.input.value,
      show: put(changes),
    },
    digest_at: {
      of: (user) => user.digest_at ?? DIGEST_AT,
      read: () => digest_at.input.value,
      show: put(digest_at),
    },
    quiet_hours: {
      of: ({ quiet_hours: hours }) => hours && { from: hours.from, to: hours.to },
      read: () => (quiet.input.checked ? { from: from.input.value, to: to.input.value } : null),
      show(hours) {
        quiet.input.checked = Boolean(hours);
        put(from)((hours ?? QUIET_HOURS).from);
        put(to)((hours ?? QUIET_HOURS).to);
      },
    },
    time_zone: {
      of: (user) => user.time_zone ?? null,
      read: () => time_zone.input.value,
      show: time_zone.show,
    },
  };
}

/** What means nothing as long as something else isn't chosen isn't there. */
function showWanted({ changes, digest_at, quiet, from, to }) {
  const wanted = changes.input.value;
  digest_at.element.hidden = wanted !== "digest";
  quiet.element.hidden = wanted === "none";
  for (const { element } of [from, to]) {
    element.hidden = wanted === "none" || !quiet.input.checked;
  }
}

function profileOf({ shared, changes, ...others }) {
  return { ...others, notifications: { shared, changes } }; // What is undefined isn't sent.
}

/** What is wrong with the quiet hours is said where they end. */
async function save(profile) {
  try {
    return await changeProfile(profile);
  } catch (error) {
    const { quiet_hours: to, ...others } = error.fields ?? {};
    if (to) error.fields = { ...others, to };
    throw error;
  }
}

/** `<mails-view>` */
export class MailsView extends AccountView {
  #choices;

  build() {
    const { user } = this.app;
    const address = h("a", { href: "#/account" }, "profile");
    const carts = h("a", { href: "#/carts" }, "My carts");
    this.page("Mails", [
      user.confirmed
        ? h("p.muted", {}, "They go to ", user.email ? h("b", {}, user.email) : "your address", ".")
        : h("p.notice", {}, "You get none before your address is confirmed: see your ", address, "."),
      this.#form(user),
      h("p.muted", {}, "Single carts can be muted, in the cart itself or in ", carts, "."),
    ]);
  }

  connected() {
    followUser(this, this.#choices);
  }

  #form(user) {
    const fields = fieldsFor(user);
    this.#choices = new Choices(partsOf(fields), user, () => showWanted(fields));
    const made = form(fields, {
      label: "Save",
      busyLabel: "Saving…",
      attributes: { id: "mails" },
      send: () => this.#save(),
    });
    made.addEventListener("change", () => showWanted(fields));
    return made;
  }

  async #save() {
    // A guess gives way to what was chosen on another device.
    if (!this.app.user.time_zone) await refreshUser();
    await this.#choices.send((changes) => save(profileOf(changes)));
    tell("Your choices are saved.");
  }
}

define("mails-view", MailsView);
