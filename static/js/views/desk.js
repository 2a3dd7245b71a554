/**
 * What the parts of a cart's view need to know and may do, in one place: who we are, what our role
 * allows, which lines wait, who looks at which line. It also tells the others where we are.
 */

import { debounce } from "../app/dom.js";

const PRESENCE_AFTER_MS = 150;

function lookingAt(member) {
  return member.data?.line ?? null;
}

export function makeDesk(room, app, redraw) {
  const tellPresence = debounce(
    (line) => room.setPresence(line ? { line } : {}),
    PRESENCE_AFTER_MS,
  );

  const others = () =>
    [...room.presence.values()].filter(({ client }) => client !== app.client.client);
  const person = (user) => app.names.person(user) ?? "Somebody";

  const whereIs = (user) => {
    const places = [...room.presence.values()].filter((member) => member.user === user);
    if (!places.length) return null;
    const line = places.map(lookingAt).find(Boolean);
    const name = line && app.names.line(line);
    return name ? `Here, on ${name}` : "Here";
  };

  const unique = (members) => {
    const users = [...new Set(members.map(({ user }) => user))];
    return users.map((user) => ({ user, name: person(user) }));
  };

  /** Follow the focus: the line that it is on is where we are. */
  const onFocus = (event) =>
    tellPresence(event.target.closest("[data-line]")?.dataset.line ?? null);
  const onBlur = (event) => {
    if (!event.relatedTarget) tellPresence(null);
  };

  return {
    act: (op) => app.act(op),
    redraw,
    me: () => app.user.id,
    person,
    currency: () => room.state.currency,
    owns: () => room.role === "owner",
    mayEdit: () => room.role === "owner" || room.role === "editor",
    pending: (line) => room.isPending(line),
    here: () => unique([...room.presence.values()]),
    lookers: (line) => unique(others().filter((member) => lookingAt(member) === line)),
    whereIs,
    listen(element) {
      element.addEventListener("focusin", onFocus);
      element.addEventListener("focusout", onBlur);
    },
    stop() {
      tellPresence.cancel();
      room.setPresence({});
    },
  };
}
