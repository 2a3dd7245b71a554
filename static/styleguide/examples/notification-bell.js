import { h } from "../../js/app/dom.js";
import "../../js/elements/notification-bell.js";
import { pretendUnread } from "./pretend.js";

const bell = (count) => () => h("notification-bell", { unread: pretendUnread(count) });

export const examples = {
  "Not known yet": bell(null),
  "Nothing is unread": bell(0),
  Three: bell(3),
  "A great many": bell(180),
};
