import { h } from "../../js/app/dom.js";
import "../../js/elements/page-header.js";
import { ADA, GUEST, pretendApp, pretendClient } from "./pretend.js";

const header = (app) => ({ bare: true, make: () => h("page-header", { app }) });

export const examples = {
  "Somebody is signed in": header(pretendApp(ADA)),
  "A guest, with changes that wait": header(pretendApp(GUEST, pretendClient("waiting", 3))),
  Nobody: header(null),
};
