import { h } from "../../js/app/dom.js";
import "../../js/elements/member-list.js";
import { pretendDesk, STATE } from "./pretend.js";

function members(role) {
  const element = h("member-list", { desk: pretendDesk({ role }) });
  queueMicrotask(() => element.draw(STATE));
  return element;
}

export const examples = {
  "As the owner sees them": () => members("owner"),
  "As others do": () => members("viewer"),
};
