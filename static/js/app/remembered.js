/**
 * The user who was signed in here last, for a page that opens while the service can't be reached.
 * It opens nothing: whoever it is must still be signed in when there is an answer.
 */

const KEY = "cartroom.user";
const FIELDS = ["id", "name", "guest", "confirmed", "locale", "currency"];

/** `user` null: nobody. `storage` may be null, where the browser has none for us. */
export function remember(storage, user) {
  try {
    if (!user) storage?.removeItem(KEY);
    else storage?.setItem(KEY, JSON.stringify(user, FIELDS));
  } catch (error) {
    console.warn("The browser keeps nothing for us", error); // Full, or not allowed any more.
  }
}

/** Those fields of the user that there were, or null. */
export function recall(storage) {
  try {
    const user = JSON.parse(storage?.getItem(KEY) ?? "null");
    return typeof user?.id === "string" && typeof user.name === "string" ? user : null;
  } catch {
    return null; // Somebody else's handwriting.
  }
}
