import { field, form } from "../../js/elements/forms.js";

const name = () => ({ name: field("Name", { value: "Summer party", required: true }) });

function refused() {
  const made = form(name(), {
    label: "Create cart",
    send: async () => {
      throw Object.assign(new Error("The service can't be reached."), { code: "unavailable" });
    },
  });
  queueMicrotask(() => made.requestSubmit());
  return made;
}

function busy() {
  const send = () => new Promise(() => {});
  const made = form(name(), { label: "Create cart", busyLabel: "Creating…", send });
  queueMicrotask(() => made.requestSubmit());
  return made;
}

export const examples = {
  "Ready to be sent": () => form(name(), { label: "Create cart", send: async () => {} }),
  "While it waits": busy,
  "It was refused": refused,
};
