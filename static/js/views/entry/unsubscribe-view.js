/** A mailed link that ends mails, without signing in. */

import { unsubscribe } from "../../app/accounts.js";
import { h } from "../../app/dom.js";
import { currentUser, refreshUser } from "../../app/session.js";
import { define } from "../../elements/element.js";
import { form } from "../../elements/forms.js";
import { EntryView, linkButton } from "./frame.js";

/** What a link may be for: what is asked, what it means, what the button says, and what is done. */
const WISHES = {
  changes: {
    ask: "No more mails about changes?",
    means: "You will get no more mails about what others change in your carts. Your inbox still tells you.",
    act: "Stop these mails",
    done: "You will get no more mails about changes",
  },
  shared: {
    ask: "No more mails about new carts?",
    means: "You will get no more mails when somebody lets you into a cart.",
    act: "Stop these mails",
    done: "You will get no more mails about new carts",
  },
  cart: {
    ask: "Mute this cart?",
    means: "You will no longer be told what others do in this one cart, here or by mail.",
    act: "Mute it",
    done: "The cart is muted",
  },
  unknown: {
    ask: "No more of these mails?",
    means: "You will get no more mails of this kind.",
    act: "Stop these mails",
    done: "These mails have ended",
  },
};

/** Which of them: a link says so in its middle, for everybody to read. */
function wishOf(token) {
  const what = token.split(".")[1] ?? "";
  return WISHES[what.startsWith("crt_") ? "cart" : what] ?? WISHES.unknown;
}

/** The link was never one, or isn't whole. */
function unreadable({ status }) {
  return status >= 400 && status < 500 && status !== 429;
}

/** `<unsubscribe-view>`; `argument` is the link's token. `desk.used()` is told when its work is done. */
export class UnsubscribeView extends EntryView {
  build() {
    const { ask, means, act } = wishOf(this.argument);
    this.card(
      ask,
      h("p.muted", {}, means),
      form(
        {},
        {
          label: act,
          busyLabel: "A moment…",
          attributes: { id: "unsubscribe" },
          send: () => this.#work(),
        },
      ),
    );
  }

  async #work() {
    try {
      await unsubscribe(this.argument);
    } catch (error) {
      if (!unreadable(error)) throw error; // The form says so, and can be sent again.
      this.#showUnreadable();
      return;
    }
    this.desk.used();
    this.#showDone();
    await refreshUser();
  }

  #showDone() {
    this.message({
      kind: "done",
      heading: wishOf(this.argument).done,
      text: "If you want it otherwise some day, you can change it here.",
      actions: [choices()],
    });
  }

  #showUnreadable() {
    this.message({
      kind: "error",
      mark: "link",
      heading: "This link isn't whole",
      text: "Open it as it stands in the mail. Or choose here which mails you want.",
      actions: [choices()],
    });
  }
}

function choices() {
  const label = currentUser() ? "Choose your mails" : "Sign in and choose";
  return linkButton("#/account/mails", label, "a.button.primary");
}

define("unsubscribe-view", UnsubscribeView);
