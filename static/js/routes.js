/** Which view an address shows, and for whom. */

import { showData } from "./views/account/data.js";
import { showDevices } from "./views/account/devices.js";
import { showPassword } from "./views/account/password.js";
import { showProfile } from "./views/account/profile.js";
import { showCart } from "./views/cart.js";
import { showCarts } from "./views/carts.js";
import { showConfirm } from "./views/entry/confirm.js";
import { showForgot } from "./views/entry/forgot.js";
import { showGuest } from "./views/entry/guest.js";
import { showInvitation } from "./views/entry/invitation.js";
import { showRegister } from "./views/entry/register.js";
import { showReset } from "./views/entry/reset.js";
import { showSignIn } from "./views/entry/signin.js";
import { showProducts } from "./views/products.js";

export const HOME = "#/carts";
export const SIGN_IN = "#/signin";

const TOKEN = "([\\w.~-]+)";

/** For everybody: `show(root, desk, argument)`. */
const OPEN = [
  { pattern: /^#\/reset$/, show: showForgot, title: "Forgot your password?" },
  { pattern: RegExp(`^#/reset/${TOKEN}$`), show: showReset, title: "Choose a new password" },
  { pattern: RegExp(`^#/confirm/${TOKEN}$`), show: showConfirm, title: "Confirm your address" },
];

/** For who isn't signed in, or is a guest: `show(root, desk)`. */
const ENTRY = [
  { pattern: /^#\/signin$/, show: showSignIn, title: "Sign in" },
  { pattern: /^#\/register$/, show: showRegister, title: "Create an account" },
  { pattern: /^#\/guest$/, show: showGuest, title: "Continue as guest", notGuest: true },
];

/** For who is signed in: `show(root, app, argument or desk, argument)`. */
const SIGNED_IN = [
  { pattern: /^#\/cart\/(crt_[\w-]+)$/, show: showCart, title: "Cart" },
  { pattern: /^#\/carts$/, show: showCarts, title: "My carts" },
  { pattern: /^#\/products$/, show: showProducts, title: "Products" },
  { pattern: /^#\/account$/, show: showProfile, title: "Profile" },
  { pattern: /^#\/account\/password$/, show: showPassword, title: "Password", notGuest: true },
  { pattern: /^#\/account\/data$/, show: showData, title: "My data", desk: true },
  { pattern: /^#\/devices$/, show: showDevices, title: "Devices", desk: true },
  {
    pattern: RegExp(`^#/invitation/${TOKEN}$`),
    show: showInvitation,
    title: "An invitation",
    desk: true,
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
 * What to show at `hash` for `user` (null: nobody): `{kind, title, show(root, app, desk)}`, where
 * `kind` is open, entry or inside; or null where there is nothing for them. Where somebody must
 * sign in first it is the form, with `asked`.
 */
export function viewFor(hash, user) {
  const guest = Boolean(user?.guest);
  const open = find(OPEN, hash);
  if (open) return view("open", open, (root, _app, desk) => open.show(root, desk, open.argument));
  const entry = find(ENTRY, hash);
  if (entry) {
    if (user && (!guest || entry.notGuest)) return null;
    return view("entry", entry, (root, _app, desk) => entry.show(root, desk));
  }
  if (!user) {
    const [signIn] = ENTRY;
    return { ...view("entry", signIn, (root, _app, desk) => signIn.show(root, desk)), asked: true };
  }
  const inside = find(SIGNED_IN, hash);
  if (!inside || (guest && inside.notGuest)) return null;
  const { show, argument } = inside;
  return view("inside", inside, (root, app, desk) =>
    inside.desk ? show(root, app, desk, argument) : show(root, app, argument),
  );
}

function view(kind, { title }, show) {
  return { kind, title, show };
}

/** Why somebody who isn't signed in meets the form, by where they wanted to go. */
export function reasonFor(hash) {
  if (!hash.startsWith("#/invitation/")) return "";
  return (
    "You are invited to a cart. Sign in, or create an account, with the address that the " +
    "invitation was mailed to."
  );
}
