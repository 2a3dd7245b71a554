/** The members of a cart, their roles, and who is here now; the owner changes roles in it. */

import { confirmed } from "./dialogs.js";
import { h, icon, keyed, setText } from "../app/dom.js";
import { GIVEN_ROLES, ROLE_NAMES } from "../app/roles.js";
import { define, Element } from "./element.js";
import { avatar } from "./user-avatar.js";

function roleSelect(name, onchange) {
  const options = GIVEN_ROLES.map(({ role }) => h("option", { value: role }, ROLE_NAMES[role]));
  return h("select", { "aria-label": `Role of ${name}`, onchange }, options);
}

/** One member: `{element, update(member)}`. */
function memberView({ user, name }, desk) {
  let known = { role: "" };
  const where = h("span.where", {});
  const role = h("span.role", {});
  const select = roleSelect(name, async () => {
    const users = [{ user, role: select.value }];
    if (!(await desk.act({ kind: "share", users }))) select.value = known.role;
  });
  const label = `Remove ${name} from the cart`;
  const remove = h(
    "button.icon-button",
    { type: "button", "aria-label": label, title: label },
    icon("remove"),
  );
  remove.addEventListener("click", async () => {
    const text = `${name} will no longer see this cart. What is in it for ${name} stays.`;
    if (!(await confirmed(`Remove ${name}?`, text, "Remove"))) return;
    const list = element.parentElement;
    await desk.act({ kind: "unshare", user });
    if (document.activeElement === document.body) list?.focus();
  });
  const me = user === desk.me ? " (you)" : "";
  const element = h(
    "li.member",
    {},
    avatar(user, name),
    h("div.member-text", {}, h("span.member-name", {}, name, me), where),
    role,
    select,
    remove,
  );
  const update = (member) => {
    known = member;
    const changeable = desk.owns && member.role !== "owner";
    setText(role, ROLE_NAMES[member.role] ?? member.role);
    role.hidden = changeable;
    select.hidden = !changeable;
    if (document.activeElement !== select) select.value = member.role;
    remove.hidden = !changeable;
    const here = desk.whereIs(user);
    setText(where, here ?? "Not here");
    where.title = where.textContent;
    element.classList.toggle("here", here !== null);
  };
  return { element, update };
}

/** `<member-list>` with the `desk` of its cart, drawn by `draw(state)`. */
export class MemberList extends Element {
  desk;
  #views = new Map();
  #list = h("ul.members", { "aria-label": "Members", tabindex: "-1" });
  #drawn = [];

  build() {
    this.append(this.#list);
  }

  draw({ members }) {
    const { desk } = this;
    const now = [members, desk.presenceTurn, desk.owns];
    if (now.every((each, at) => each === this.#drawn[at])) return;
    this.#drawn = now;
    keyed(
      this.#list,
      this.#views,
      members,
      (member) => member.user,
      (member) => memberView(member, desk),
    );
  }
}

define("member-list", MemberList);
