import { h } from "../../js/app/dom.js";
import "../../js/elements/inbox-entry.js";
import { LONG_NAME, NOTIFICATION } from "./pretend.js";

const entry = (changes = {}) => {
  const element = h("inbox-entry", { entry: { ...NOTIFICATION, ...changes } });
  element.addEventListener("read", () => (element.entry = { ...element.entry, read: true }));
  return h("div.inbox-entries", {}, element);
};

export const examples = {
  "Several changes, unread": () => entry(),
  "One change, read": () =>
    entry({ count: 1, kinds: { add: 1 }, lines: NOTIFICATION.lines.slice(0, 1), read: true }),
  "Let into a cart": () => entry({ kind: "shared", count: 1, kinds: { share: 1 }, lines: [] }),
  "A cart that is gone": () => entry({ kind: "deleted", count: 1, lines: [], read: true }),
  "Somebody whose account is gone": () => entry({ by: { user: "usr_dan", name: null } }),
  "Long names, many changes": () =>
    entry({
      ...{ cart_name: LONG_NAME, count: 812, by: { user: "usr_cleo", name: LONG_NAME } },
      kinds: { add: 300, change_quantity: 400, remove: 100, note: 10, rename: 1, clear: 1 },
    }),
};
