import { h } from "../../js/app/dom.js";
import { tell, tellError, toastView } from "../../js/elements/toasts.js";

const closed = () => {};
const action = { label: "Undo", act: () => tell("It is back.") };

export const examples = {
  "Something happened": () => toastView("Ben added 2 × Stoneware mug.", { closed }),
  "Something can be done about it": () =>
    toastView("Summer party is deleted.", { closed, action }),
  "Something went wrong": () =>
    toastView("There are only 3 of it.", { closed, kind: "error" }),
  "As they come": () =>
    h(
      "div.actions",
      {},
      h("button", { type: "button", onclick: () => tell("Ben is here.") }, "Tell"),
      h(
        "button",
        { type: "button", onclick: () => tell("The cart is deleted.", { action }) },
        "Tell, with Undo",
      ),
      h("button", { type: "button", onclick: () => tellError(new Error("No.")) }, "Tell an error"),
    ),
};
