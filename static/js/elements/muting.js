/** Not to be told any more of what others do in a cart, or again. */

import { tell, tellError } from "./toasts.js";

/** Mute `cart` of that `name`, or the other way round, and say what that means. */
export async function changeMuted(carts, { cart, name }, muted) {
  try {
    await carts.mute(cart, muted);
  } catch (error) {
    tellError(error);
    return;
  }
  const title = name || "this cart";
  if (muted) tell(`You are no longer told what others do in “${title}”, here or by mail.`);
  else tell(`You are told again what others do in “${title}”.`);
}
