/** Which view an address shows, and for whom. */

import { h } from "./dom.js";

export const HOME = "#/carts";
export const SIGN_IN = "#/signin";

const TOKEN = "([\\w.~-]+)";

/** A view that is an element, `<tag>`, of a module of `views/` that is loaded when it is wanted. */
function element(tag, load) {
  const show = async (root, given) => {
    await load();
    if (!given.wanted()) return;
    root.replaceChildren(h(tag, given));
  };
  return Object.assign(show, { load });
}

/** A view that draws itself by `show(root, app, desk, argument)`, which gives a function to end it. */
function drawn(load) {
  const show = async (root, { app, desk, argument, wanted }) => {
    const draw = await load();
    return wanted() ? draw(root, app, desk, argument) : undefined;
  };
  return Object.assign(show, { load });
}

const entry = (name) => import(`../views/entry/${name}.js`);
const account = (name) => import(`../views/account/${name}.js`);

/** For everybody. */
const OPEN = [
  {
    pattern: /^#\/reset$/,
    title: "Forgot your password?",
    show: drawn(async () => {
      const { showForgot } = await entry("forgot");
      return (root, _app, desk) => showForgot(root, desk);
    }),
  },
  {
    pattern: RegExp(`^#/reset/${TOKEN}$`),
    title: "Choose a new password",
    show: drawn(async () => {
      const { showReset } = await entry("reset");
      return (root, _app, desk, token) => showReset(root, desk, token);
    }),
  },
  {
    pattern: RegExp(`^#/confirm/${TOKEN}$`),
    title: "Confirm your address",
    show: drawn(async () => {
      const { showConfirm } = await entry("confirm");
      return (root, _app, desk, token) => showConfirm(root, desk, token);
    }),
  },
];

/** For who isn't signed in, or is a guest. */
const ENTRY = [
  {
    pattern: /^#\/signin$/,
    title: "Sign in",
    show: drawn(async () => {
      const { showSignIn } = await entry("signin");
      return (root, _app, desk) => showSignIn(root, desk);
    }),
  },
  {
    pattern: /^#\/register$/,
    title: "Create an account",
    show: drawn(async () => {
      const { showRegister } = await entry("register");
      return (root, _app, desk) => showRegister(root, desk);
    }),
  },
  {
    pattern: /^#\/guest$/,
    title: "Continue as guest",
    notGuest: true,
    show: drawn(async () => {
      const { showGuest } = await entry("guest");
      return (root, _app, desk) => showGuest(root, desk);
    }),
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
    show: drawn(async () => (await import("../views/carts.js")).showCarts),
  },
  {
    pattern: /^#\/products$/,
    title: "Products",
    show: drawn(async () => (await import("../views/products.js")).showProducts),
  },
  {
    pattern: /^#\/account$/,
    title: "Profile",
    show: drawn(async () => (await account("profile")).showProfile),
  },
  {
    pattern: /^#\/account\/password$/,
    title: "Password",
    notGuest: true,
    show: drawn(async () => (await account("password")).showPassword),
  },
  {
    pattern: /^#\/account\/data$/,
    title: "My data",
    show: drawn(async () => (await account("data")).showData),
  },
  {
    pattern: /^#\/devices$/,
    title: "Devices",
    show: drawn(async () => (await account("devices")).showDevices),
  },
  {
    pattern: RegExp(`^#/invitation/${TOKEN}$`),
    title: "An invitation",
    show: drawn(async () => (await entry("invitation")).showInvitation),
  },
];

function find(table, hash) {
  for (const route of table) {
    const match = route.pattern.exec(hash);
    if (match) return { ...route, argument: match[1] };
  }
  return null;
}

/**
 * What to show at `hash` for `user` (null: nobody): `{kind, title, asked, show, load}`, where `kind` is
 * open, entry or inside; or null where there is nothing for them. Where somebody must sign in
 * first it is the form, with `asked`.
 *
 * `show(root, {app, desk, wanted})` loads the view and puts it into `root`, if it is still
 * `wanted()` then; resolves with the function that ends it, or nothing. Rejects where it can't be
 * loaded. `load()` loads it only.
 */
export function viewFor(hash, user) {
  const guest = Boolean(user?.guest);
  const open = find(OPEN, hash);
  if (open) return view("open", open);
  const entered = find(ENTRY, hash);
  if (entered) return user && (!guest || entered.notGuest) ? null : view("entry", entered);
  if (!user) return { ...view("entry", ENTRY[0]), asked: true };
  const inside = find(SIGNED_IN, hash);
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
