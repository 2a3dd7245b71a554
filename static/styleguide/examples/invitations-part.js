import { h } from "../../js/app/dom.js";
import "../../js/elements/invitations-part.js";
import { ADA, GUEST, pretendDesk, UNCONFIRMED } from "./pretend.js";

const part = (user) => () => h("invitations-part", { desk: pretendDesk({ user }) });

export const examples = {
  "Somebody is invited": part(ADA),
  "For who hasn't confirmed an address": part(UNCONFIRMED),
  "For a guest": part(GUEST),
};
