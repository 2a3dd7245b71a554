/**
 * Takes up the reader's choice of light or dark before anything is drawn. A script of its own, and
 * no module, as those run too late for that; `app/theme.js` keeps the choice.
 */
try {
  const chosen = localStorage.getItem("cartroom.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // The browser keeps nothing for us: the system's choice holds.
}
