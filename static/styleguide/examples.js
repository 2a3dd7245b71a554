/**
 * What the guide shows, in its order. Each has a module of its name below `examples/` that exports
 * `examples`: by the name of a state, a function that makes the element, or `{make, bare}`, with
 * `bare` where it shall reach from edge to edge.
 */
export const NAMES = [
  "button",
  "field",
  "form",
  "notice",
  "badge",
  "toast",
  "dialog",
  "message-card",
  "loading-card",
  "popup-menu",
  "user-avatar",
  "page-header",
  "account-menu",
  "connection-state",
  "page-banner",
  "resend-mail",
  "quantity-stepper",
  "cart-lines",
  "cart-line",
  "line-group",
  "moving-amount",
  "title-editor",
  "note-editor",
  "here-now",
  "tab-list",
  "member-list",
  "share-panel",
  "invitations-part",
  "own-id",
  "cart-history",
];
