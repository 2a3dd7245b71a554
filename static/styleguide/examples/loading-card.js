import { h } from "../../js/app/dom.js";
import "../../js/elements/loading-card.js";

export const examples = {
  "Within a view": () => h("loading-card", { heading: "Loading your devices…", rows: 2, level: 2 }),
};
