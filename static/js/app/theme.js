/** Light or dark: as the system says, or as the reader chose, in this browser. See `theme.js`. */

import { storageOf } from "./session.js";

const KEY = "cartroom.theme";

export const THEMES = [
  { value: "system", label: "System" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

/** "light", "dark", or "system". */
export function chosenTheme() {
  return document.documentElement.dataset.theme ?? "system";
}

/** Show the page in `theme` from now on, in this browser. */
export function chooseTheme(theme) {
  show(theme);
  const storage = storageOf("localStorage");
  try {
    if (theme === "system") storage?.removeItem(KEY);
    else storage?.setItem(KEY, theme);
  } catch (error) {
    console.warn("The theme is not kept", error); // It holds until the page is loaded anew.
  }
}

function show(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

// Another tab's choice holds here too.
window.addEventListener("storage", ({ key, newValue }) => {
  if (key === KEY) show(newValue);
});
