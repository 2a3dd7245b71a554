/** Coming in without an account, by a name alone. */

import { enterAsGuest } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { define } from "../../elements/element.js";
import { form } from "../../elements/forms.js";
import { elsewhere, EntryView, nameField, noticeLine } from "./frame.js";

const LEAD = "Fill carts in this browser without an account. You can make one later and keep them.";

/** `<guest-view>` */
export class GuestView extends EntryView {
  build() {
    const { notice, enter } = this.desk;
    const comeIn = form(
      { name: nameField() },
      {
        label: "Continue as guest",
        busyLabel: "Letting you in…",
        attributes: { id: "guest" },
        send: (values) => enter(() => enterAsGuest(values)),
      },
    );
    this.card(
      "Continue as guest",
      h("p.lead", {}, LEAD),
      noticeLine(notice),
      comeIn,
      elsewhere(
        ["Have an account?", "#/signin", "Sign in"],
        ["New here?", "#/register", "Create an account"],
      ),
    );
  }
}

define("guest-view", GuestView);
