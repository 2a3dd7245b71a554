/** Modal dialogs. Escape and a click beside them close them; focus returns to where it was. */

import { h, icon, uniqueId } from "../app/dom.js";

/** Show a dialog with the content `build(close)`; resolves with what `close(value)` was given. */
export function dialog(title, build) {
  return new Promise((resolve) => {
    let result;
    const id = uniqueId("dialog");
    const close = (value) => {
      result = value;
      element.close();
    };
    const head = h(
      "div.dialog-head",
      {},
      h("h2", { id }, title),
      h(
        "button.icon-button",
        { type: "button", "aria-label": "Close", onclick: () => close() },
        icon("close"),
      ),
    );
    // The body covers the whole dialog, so a click on the dialog itself is one beside it.
    const body = h("div.dialog-body", {}, head, build(close));
    const element = h("dialog", { "aria-labelledby": id }, body);
    element.addEventListener("click", (event) => {
      if (event.target === element) close();
    });
    element.addEventListener("close", () => {
      element.remove();
      resolve(result);
    });
    document.body.append(element);
    element.showModal();
  });
}

/** Close what is open: what it was about is no longer in sight. */
export function closeDialogs() {
  for (const element of document.querySelectorAll("dialog[open]")) element.close();
}

/** Ask before something that can't be taken back; resolves with true or false. */
export async function confirmed(title, text, action) {
  const answer = await dialog(title, (close) => [
    h("p", {}, text),
    h(
      "div.dialog-actions",
      {},
      h("button", { type: "button", autofocus: true, onclick: () => close(false) }, "Cancel"),
      h("button.danger", { type: "button", onclick: () => close(true) }, action),
    ),
  ]);
  return answer === true;
}
