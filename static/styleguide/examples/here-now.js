import { h } from "../../js/app/dom.js";
import "../../js/elements/here-now.js";
import { PEOPLE } from "./pretend.js";

function here(people) {
  const element = h("here-now", {});
  queueMicrotask(() => element.show(people.map((one) => ({ ...one, label: one.name }))));
  return element;
}

const MANY = Array.from({ length: 9 }, (_, at) => ({ user: `usr_${at}`, name: `Guest ${at}` }));

export const examples = {
  "A few": () => here(PEOPLE),
  Many: () => here(MANY),
};
