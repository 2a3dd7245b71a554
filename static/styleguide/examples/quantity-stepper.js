import { h } from "../../js/app/dom.js";
import "../../js/elements/quantity-stepper.js";

function stepper(value) {
  return h("quantity-stepper", {
    label: "Stoneware mug",
    value,
    onstep: ({ target, detail }) => {
      target.value += detail;
    },
    onset: ({ target, detail }) => {
      target.value = detail;
    },
  });
}

export const examples = {
  "One, which can't be less": () => stepper(1),
  Some: () => stepper(12),
  "As many as can be": () => stepper(100_000),
};
