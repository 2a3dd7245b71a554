/** Which mails one gets, and when. */

import { changeProfile } from "../../app/accounts.js";
import { h, setText } from "../../app/dom.js";
import { updateUser } from "../../app/session.js";
import { ownTimeZone, timeZoneLabel, timeZoneOptions } from "../../elements/choices.js";
import { define } from "../../elements/element.js";
import { checkbox, field, form, radios } from "../../elements/forms.js";
import { tell } from "../../elements/toasts.js";
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

function time(label, name, value, hint) {
  const made = field(label, { id: name, name, type: "time", required: true }, { hint });
  made.input.value = value;
  return made;
}

/** `chosen` is null where nobody has chosen yet: then that of this device is a good guess. */
function zoneField(chosen) {
  const own = ownTimeZone();
  const options = timeZoneOptions(chosen);
  const hint = !chosen && own ? "As this device has it. It counts once you save." : undefined;
  const attributes = { id: "time_zone", name: "time_zone" };
  const made = field("Time zone", attributes, { control: "select", options, hint });
  made.input.value = chosen ?? own ?? TIME_ZONE;
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
  show();
  return made;
}

function fieldsFor({ notifications = {}, time_zone, quiet_hours, digest_at }) {
  const { from, to } = quiet_hours ?? QUIET_HOURS;
  const fields = {
    shared: checkbox("Mail me when somebody lets me into a cart", { id: "shared", name: "shared" }),
    changes: radios("Mail me what others change in my carts", "changes", CHANGES),
    digest_at: time("At what time of day", "digest_at", digest_at ?? DIGEST_AT),
    quiet: checkbox("Keep quiet at night", {
      ...{ id: "quiet", name: "quiet" },
      hint: "Mails about carts wait until these hours are over.",
    }),
    from: time("Quiet from", "from", from),
    to: time("Quiet until", "to", to),
    time_zone: zoneField(time_zone),
  };
  fields.shared.input.checked = notifications.shared ?? true;
  fields.changes.input.value = notifications.changes ?? "digest";
  fields.quiet.input.checked = Boolean(quiet_hours);
  return fields;
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

function profileOf({ shared, changes, digest_at, quiet, from, to, time_zone }) {
  return {
    notifications: { shared, changes },
    digest_at,
    quiet_hours: quiet ? { from, to } : null,
    time_zone,
  };
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

function mailsForm(user) {
  const fields = fieldsFor(user);
  const made = form(fields, {
    label: "Save",
    busyLabel: "Saving…",
    attributes: { id: "mails" },
    send: async (values) => {
      updateUser(await save(profileOf(values)));
      tell("Your choices are saved.");
    },
  });
  made.addEventListener("change", () => showWanted(fields));
  showWanted(fields);
  return made;
}

/** `<mails-view>` */
export class MailsView extends AccountView {
  build() {
    const { user } = this.app;
    const address = h("a", { href: "#/account" }, "profile");
    const carts = h("a", { href: "#/carts" }, "My carts");
    this.page("Mails", [
      user.confirmed
        ? h("p.muted", {}, "They go to ", h("b", {}, user.email), ".")
        : h("p.notice", {}, "You get none before your address is confirmed: see your ", address, "."),
      mailsForm(user),
      h("p.muted", {}, "Single carts can be muted, in the cart itself or in ", carts, "."),
    ]);
  }
}

define("mails-view", MailsView);
