import { h } from "../../js/app/dom.js";
import "../../js/elements/cart-line.js";
import { PEOPLE, pretendDesk, STATE } from "./pretend.js";

const [mug, , jam] = STATE.lines;

function line(now, then = () => {}) {
  const element = h("cart-line", { desk: pretendDesk() });
  const usual = { line: mug, saved: false, mayEdit: true, pending: false, lookers: [] };
  queueMicrotask(() => {
    element.show({ ...usual, ...now });
    then(element);
  });
  return h("div", { role: "list" }, element);
}

export const examples = {
  "To be changed": () => line({}),
  "With a note, and somebody who looks at it": () => line({ line: jam, lookers: [PEOPLE[1]] }),
  "A change is on its way": () => line({ pending: true }),
  "To be looked at": () => line({ mayEdit: false }),
  "Saved for later": () => line({ saved: true }),
  "Changed by somebody": () => line({}, (element) => element.touched("usr_ben", "Ben Okri")),
};
