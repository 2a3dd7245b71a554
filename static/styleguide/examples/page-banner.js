import { h } from "../../js/app/dom.js";
import "../../js/elements/page-banner.js";
import { GUEST, UNCONFIRMED } from "./pretend.js";

// The banner hides what is around it, so it has something around it.
const banner = (user) => ({ bare: true, make: () => h("div", {}, h("page-banner", { user })) });

export const examples = {
  "A guest": banner(GUEST),
  "An address to be confirmed": banner(UNCONFIRMED),
};
