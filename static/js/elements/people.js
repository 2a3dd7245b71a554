/** The members of a cart, their roles, and who is here now. */

import { confirmed } from "./dialogs.js";
import { h, icon, keyed, setText } from "../app/dom.js";
import { avatar } from "./user-avatar.js";

export const ROLE_NAMES = { viewer: "Viewer", editor: "Editor", owner: "Owner" };

/** The roles that can be given. */
const GIVEN_ROLES = ["editor", "viewer"];

function memberView(member, desk) {
  const { user, name } = member;
  const me = user === desk.me();
  const where = h("span.where", {});
  const role = h("span.role", {});
  const options = GIVEN_ROLES.map((given) => h("option", { value: given }, ROLE_NAMES[given]));
  const select = h("select", { "aria-label": `Role of ${name}` }, options);
  select.addEventListener("change", async () => {
    const wanted = select.value;
    if (!(await desk.act({ kind: "share", users: [{ user, role: wanted }] }))) desk.redraw();
  });
  const remove = h(
    "button.icon-button",
    {
      type: "button",
      "aria-label": `Remove ${name} from the cart`,
      title: `Remove ${name} from the cart`,
      onclick: async () => {
        const text = `${name} will no longer see this cart. What is in it for ${name} stays.`;
        if (await confirmed(`Remove ${name}?`, text, "Remove")) desk.act({ kind: "unshare", user });
      },
    },
    icon("remove"),
  );
  const element = h(
    "li.member",
    {},
    avatar(user, name),
    h("div.member-text", {}, h("span.member-name", {}, name, me ? " (you)" : ""), where),
    role,
    select,
    remove,
  );
  const update = (fresh) => {
    const changeable = desk.owns() && fresh.role !== "owner";
    setText(role, ROLE_NAMES[fresh.role] ?? fresh.role);
    role.hidden = changeable;
    select.hidden = !changeable;
    if (document.activeElement !== select) select.value = fresh.role;
    remove.hidden = !changeable;
    const here = desk.whereIs(user);
    setText(where, here ?? "Not here");
    where.title = where.textContent;
    element.classList.toggle("here", here !== null);
  };
  return { element, update };
}

/**
 * `{element, update(members)}`. `desk` lends `{act(op), me(), owns(), redraw(),
 * whereIs(user) → "Here"… or null}`.
 */
export function peoplePart(desk) {
  const views = new Map();
  const list = h("ul.members", { "aria-label": "Members" });
  const update = (members) =>
    keyed(
      list,
      views,
      members,
      (member) => member.user,
      (member) => memberView(member, desk),
    );
  return { element: list, update };
}
