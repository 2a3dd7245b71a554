import { h } from "../../js/app/dom.js";
import "../../js/elements/account-menu.js";
import { ADA, GUEST } from "./pretend.js";

const signOut = () => {};

export const examples = {
  "Somebody": () => h("account-menu", { user: ADA, signOut }),
  "A guest": () => h("account-menu", { user: GUEST, signOut }),
};
