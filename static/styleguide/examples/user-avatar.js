import { h } from "../../js/app/dom.js";
import { avatar } from "../../js/elements/user-avatar.js";

const NAMES = ["Ada Byron", "Ben Okri", "Cleo", "Dora Maar", "Emil", "Fei Xu", "Gus", "Hana"];

export const examples = {
  "Each in a colour of their own": () =>
    h("div.actions", {}, NAMES.map((name) => avatar(`usr_${name}`, name, name))),
  "Without a name": () => avatar("usr_1", "", "Somebody"),
};
