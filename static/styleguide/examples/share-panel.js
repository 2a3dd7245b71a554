import { h } from "../../js/app/dom.js";
import "../../js/elements/share-panel.js";
import { pretendDesk } from "./pretend.js";

const panel = (role) => () => h("share-panel", { desk: pretendDesk({ role }) });

export const examples = {
  "For the owner": panel("owner"),
  "For others": panel("editor"),
};
