import { h } from "../../js/app/dom.js";
import "../../js/elements/avatar-stack.js";
import { PEOPLE } from "./pretend.js";

export const examples = {
  "Three people": () => h("avatar-stack", { people: PEOPLE, count: 3 }),
  "Many people": () => h("avatar-stack", { people: PEOPLE, count: 112 }),
};
