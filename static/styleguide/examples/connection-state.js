import { h } from "../../js/app/dom.js";
import "../../js/elements/connection-state.js";
import { pretendClient } from "./pretend.js";

const state = (...given) => () => h("connection-state", { client: pretendClient(...given) });

export const examples = {
  Live: state("live"),
  "Saving changes": state("live", 2),
  Connecting: state("connecting"),
  "Changes wait": state("waiting", 3),
  "Not coming back by itself": state("failed"),
};
