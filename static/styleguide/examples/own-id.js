import { h } from "../../js/app/dom.js";
import "../../js/elements/own-id.js";

export const examples = {
  "To be copied": () => h("own-id", { user: "usr_24875fc94f3198a3db445f4e" }),
};
