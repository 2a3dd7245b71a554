/** Choosing one of the members of a cart. */

import { h } from "../app/dom.js";

/**
 * Have `select` offer the members of a cart, `me` among them, who is chosen until somebody else is.
 * What is chosen stays chosen as long as they are a member, and an open list isn't pulled away.
 */
export function offerMembers(select, members, me) {
  const options = members.map(({ user, name }) => [user, user === me ? `${name} (you)` : name]);
  const offered = JSON.stringify(options);
  if (select.dataset.shown === offered) return;
  select.dataset.shown = offered;
  const before = select.value || me;
  select.replaceChildren(...options.map(([value, name]) => h("option", { value }, name)));
  select.value = members.some(({ user }) => user === before) ? before : me;
}
