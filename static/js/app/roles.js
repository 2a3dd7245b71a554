/** Roles in words. */

export const ROLE_NAMES = { viewer: "Viewer", editor: "Editor", owner: "Owner" };

/** The roles that can be given, and what they allow. */
export const GIVEN_ROLES = [
  { role: "editor", allows: "may change it" },
  { role: "viewer", allows: "may look at it" },
];
