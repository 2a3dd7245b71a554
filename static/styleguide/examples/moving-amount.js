import { h } from "../../js/app/dom.js";
import "../../js/elements/moving-amount.js";

const AMOUNTS = [10_660, 13_150];

export const examples = {
  "Press it, and it moves": () => {
    const amount = h("moving-amount.total", {});
    let at = 0;
    const show = () => amount.show(AMOUNTS[at % AMOUNTS.length], "EUR");
    const onclick = () => {
      at += 1;
      show();
    };
    queueMicrotask(show);
    return h("div.actions", {}, amount, h("button", { type: "button", onclick }, "Another amount"));
  },
};
