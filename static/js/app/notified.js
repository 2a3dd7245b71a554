/** Notifications of the inbox in words. */

const FORMER_MEMBER = "Former member";
const UNNAMED = "Unnamed cart";
const NAMED_MAX = 3;

const some = (count, one, many) => (count === 1 ? one : many.replace("#", count));

/** What of a kind was done, so often: "added 3". Kinds that read alike are told as one. */
const DEEDS = [
  { kinds: ["add"], text: (count) => `added ${count}` },
  {
    kinds: ["change_quantity", "set_quantity"],
    text: (count) => some(count, "changed a quantity", "changed quantities # times"),
  },
  { kinds: ["remove"], text: (count) => `removed ${count}` },
  { kinds: ["save_for_later"], text: (count) => `saved ${count} for later` },
  { kinds: ["move_to_cart"], text: (count) => `moved ${count} back to the cart` },
  { kinds: ["note"], text: (count) => some(count, "changed a note", "changed notes # times") },
  { kinds: ["rename"], text: () => "renamed the cart" },
  { kinds: ["clear"], text: () => "emptied the cart" },
  { kinds: ["share", "unshare", "merge"], text: () => "changed who is in it" },
  { kinds: ["depart"], text: () => "closed their account" },
];

/** What was added, some of it: "2 × Mug, 1 × Towel and more". */
function listed(lines, adds) {
  const shown = lines.slice(0, NAMED_MAX).map(({ qty, name }) => `${qty} × ${name}`);
  if (lines.length > shown.length || adds > lines.length) return `${shown.join(", ")} and more`;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

function deedsOf(kinds) {
  const known = new Set(DEEDS.flatMap((deed) => deed.kinds));
  const told = DEEDS.map(({ kinds: names, text }) => {
    const count = names.reduce((sum, name) => sum + (kinds[name] ?? 0), 0);
    return count ? text(count) : "";
  }).filter(Boolean);
  const others = Object.keys(kinds).some((kind) => !known.has(kind));
  return others ? [...told, "and more"] : told;
}

/** What somebody did, without who: "changed 4 things: added 3, removed 1". */
function changes({ count, kinds = {}, lines = [] }) {
  const deeds = deedsOf(kinds);
  if (count > 1) return `changed ${count} things${deeds.length ? `: ${deeds.join(", ")}` : ""}`;
  if (kinds.add && lines.length) return `added ${listed(lines, 1)}`;
  return deeds[0] ?? "changed something";
}

const WHAT = {
  changes,
  shared: () => "let you into the cart",
  removed: () => "removed you from the cart",
  deleted: () => "deleted the cart",
};

/**
 * A notification for people: `{who, what, cart, lines, leads}`: "Ben", "changed 4 things: added 3,
 * removed 1", "Picnic", "2 × Mug, 1 × Towel and more"; `leads`: there is a cart to go to.
 */
export function notified(entry) {
  const { kind, by, cart_name: name, count, kinds = {}, lines = [] } = entry;
  return {
    who: by?.name ?? FORMER_MEMBER,
    what: (WHAT[kind] ?? (() => "did something"))(entry),
    cart: name || UNNAMED,
    lines: kind === "changes" && count > 1 ? listed(lines, kinds.add ?? 0) : "",
    leads: kind !== "removed" && kind !== "deleted",
  };
}
