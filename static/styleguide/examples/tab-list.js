import { h } from "../../js/app/dom.js";
import "../../js/elements/tab-list.js";

let made = 0;

export const examples = {
  "Parts of a cart": () => {
    made += 1;
    const panel = (text) => h("p", { hidden: true }, text);
    const beside = h("p", { id: `beside-${made}` }, "What stands beside.");
    const tabs = [
      { name: "cart", label: "Cart", icon: "cart", panel: beside },
      { name: "find", label: "Add", icon: "plus", panel: panel("Products to add.") },
      { name: "history", label: "History", icon: "later", panel: panel("What was done.") },
    ];
    const list = h("tab-list", { name: `guide-${made}`, label: "Parts of the cart", tabs });
    return h("div.stack", {}, list, tabs.map((tab) => tab.panel));
  },
};
