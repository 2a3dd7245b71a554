import { h } from "../../js/app/dom.js";

export const examples = {
  "Beside a name": () =>
    h(
      "div.actions",
      {},
      h("span.badge", {}, "Guest"),
      h("span.badge.plain", {}, "Viewer"),
      h("span.badge.good", {}, "Confirmed"),
      h("span.badge.warn", {}, "3 left"),
      h("span.badge.danger", {}, "Sold out"),
    ),
};
