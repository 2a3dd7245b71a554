import { h } from "../../js/app/dom.js";
import "../../js/elements/cart-line.js";
import "../../js/elements/line-group.js";
import { pretendDesk, STATE } from "./pretend.js";

function group(props, title, sum, line, saved) {
  const element = h("line-group", props);
  const row = h("cart-line", { desk: pretendDesk() });
  queueMicrotask(() => {
    row.show({ line, saved, mayEdit: true, pending: false, lookers: [] });
    element.place([row]);
    element.show(title, sum);
  });
  return element;
}

export const examples = {
  "Somebody's lines": () => {
    const ben = { user: "usr_ben", name: "Ben Okri" };
    return group(ben, "For Ben Okri", "1 piece · €5.20", STATE.lines[2], false);
  },
  "Saved for later": () => group({}, "Saved for later", "1 piece", STATE.saved[0], true),
};
