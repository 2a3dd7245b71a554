import { h } from "../../js/app/dom.js";

export const examples = {
  "Care is needed": () => h("p.notice", {}, "You may look at this cart, not change it."),
  "Good to know": () => h("p.notice.info", {}, "One change was made while you were away."),
  "It went well": () => h("p.notice.good", {}, "Your new password is set."),
  "It can't be taken back": () => h("p.warning", {}, "This can't be taken back."),
};
