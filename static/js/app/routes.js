/** Which view an address shows, and for whom. */

export const HOME = "#/";
export const SIGN_IN = "#/signin";

const TOKEN = "([\\w.~-]+)";

/**
 * A view that is an element, `<tag>`, of a module of `views/` that is loaded when it is wanted. It
 * gets `app`, `desk` and `argument`, what the address says beside the view's name.
 */
function element(tag, load) {
  const show = async (root, { app, desk, argument, wanted }) => {
    await load();
    if (!wanted()) return;
    root.replaceChildren(Object.assign(document.createElement(tag), { app, desk, argument }));
  };
  return Object.assign(show, { load, tag });
}

/** For everybody, and where one comes back to after signing in. */
const PUBLIC = [
  {
    pattern: /^#\/?$/,
    title: "Home",
    show: element("home-view", () => import("../views/home.js")),
  },
  {
    pattern: /^#\/products$/,
    title: "Products",
    show: element("products-view", () => import("../views/products.js")),
  },
  {
    pattern: /^#\/product\/(.+)$/,
    title: "Product",
    show: element("product-view", () => import("../views/product.js")),
  },
];

/** For everybody. */
const OPEN = [
  {
    pattern: /^#\/reset$/,
    title: "Forgot your password?",
    show: element("forgot-view", () => import("../views/entry/forgot-view.js")),
  },
  {
    pattern: RegExp(`^#/reset/${TOKEN}$`),
    title: "Choose a new password",
    show: element("reset-view", () => import("../views/entry/reset-view.js")),
  },
  {
    pattern: RegExp(`^#/confirm/${TOKEN}$`),
    title: "Confirm your address",
    show: element("confirm-view", () => import("../views/entry/confirm-view.js")),
  },
  {
    pattern: RegExp(`^#/unsubscribe/${TOKEN}$`),
    title: "Mails",
    show: element("unsubscribe-view", () => import("../views/entry/unsubscribe-view.js")),
  },
];

/** For who isn't signed in, or is a guest. */
const ENTRY = [
  {
    pattern: /^#\/signin$/,
    title: "Sign in",
    show: element("sign-in-view", () => import("../views/entry/sign-in-view.js")),
  },
  {
    pattern: /^#\/register$/,
    title: "Create an account",
    show: element("register-view", () => import("../views/entry/register-view.js")),
  },
  {
    pattern: /^#\/guest$/,
    title: "Continue as guest",
    notGuest: true,
    show: element("guest-view", () => import("../views/entry/guest-view.js")),
  },
];

/** For who is signed in. */
const SIGNED_IN = [
  {
    pattern: /^#\/cart\/(crt_[\w-]+)$/,
    title: "Cart",
    show: element("cart-view", () => import("../views/cart.js")),
  },
  {
    pattern: /^#\/carts$/,
    title: "My carts",
    show: element("carts-view", () => import("../views/carts.js")),
  },
  {
    pattern: /^#\/inbox$/,
    title: "Inbox",
    show: element("inbox-view", () => import("../views/inbox.js")),
  },
  {
    pattern: /^#\/account$/,
    title: "Profile",
    show: element("profile-view", () => import("../views/account/profile-view.js")),
  },
  {
    pattern: /^#\/account\/password$/,
    title: "Password",
    notGuest: true,
    show: element("password-view", () => import("../views/account/password-view.js")),
  },
  {
    pattern: /^#\/account\/mails$/,
    title: "Mails",
    notGuest: true,
    show: element("mails-view", () => import("../views/account/mails-view.js")),
  },
  {
    pattern: /^#\/account\/data$/,
    title: "My data",
    show: element("data-view", () => import("../views/account/data-view.js")),
  },
  {
    pattern: /^#\/devices$/,
    title: "Devices",
    show: element("devices-view", () => import("../views/account/devices-view.js")),
  },
  {
    pattern: RegExp(`^#/invitation/${TOKEN}$`),
    title: "An invitation",
    show: element("invitation-view", () => import("../views/entry/invitation-view.js")),
  },
];

/** The elements of all views that have an address. */
export const ROUTED = [...PUBLIC, ...OPEN, ...ENTRY, ...SIGNED_IN].map(({ show }) => show.tag);

function find(table, hash) {
  for (const route of table) {
    const match = route.pattern.exec(hash);
    if (match) return { ...route, argument: match[1] };
  }
  return null;
}

/**
 * What to show at `hash` for `user` (null: nobody): `{kind, title, asked, show, load}`, where
 * `kind` is public, open, entry or inside; or null where there is nothing for them. Where somebody
 * must sign in first it is the form, with `asked`.
 *
 * `show(root, {app, desk, wanted})` loads the view and puts it into `root`, if it is still
 * `wanted()` then. Rejects where it can't be loaded. `load()` loads it only.
 */
export function viewFor(hash, user) {
  const guest = Boolean(user?.guest);
  const shown = find(PUBLIC, hash);
  if (shown) return view("public", shown);
  const open = find(OPEN, hash);
  if (open) return view("open", open);
  const entered = find(ENTRY, hash);
  if (entered) return user && (!guest || entered.notGuest) ? null : view("entry", entered);
  const inside = find(SIGNED_IN, hash);
  if (inside && !user) return { ...view("entry", ENTRY[0]), asked: true };
  return !inside || (guest && inside.notGuest) ? null : view("inside", inside);
}

function view(kind, { title, show, argument }) {
  const { load } = show;
  return { kind, title, load, show: (root, given) => show(root, { ...given, argument }) };
}

/** Why somebody who isn't signed in meets the form, by where they wanted to go. */
export function reasonFor(hash) {
  if (!hash.startsWith("#/invitation/")) return "";
  return (
    "You are invited to a cart. Sign in, or create an account, with the address that the " +
    "invitation was mailed to."
  );
}
