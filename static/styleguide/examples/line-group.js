import { h } from "../../js/app/dom.js";
import "../../js/elements/line-group.js";

function group(props, title, sum) {
  const element = h("line-group", props);
  element.list.append(h("div", { role: "listitem" }, "Its lines go here."));
  queueMicrotask(() => element.show(title, sum));
  return element;
}

export const examples = {
  "Somebody's lines": () =>
    group({ user: "usr_ben", name: "Ben Okri" }, "For Ben Okri", "2 pieces · €10.40"),
  "Saved for later": () => group({}, "Saved for later", "1 piece"),
};
