/**
 * The effect of committed ops on a cart's state. Pure: a new state comes back, the old one is not
 * changed, and what an op doesn't touch is the same object as before.
 *
 * What is applied here is the op as it *took effect* (from `ok` or `cart.ops`): the service has
 * already judged it, resolved its lines and looked up its prices. So nothing is refused; what
 * can't be applied raises `OutOfStep`, and the caller fetches a fresh state.
 */

/** The state and the op don't fit together. */
export class OutOfStep extends Error {}

function indexOfLine(lines, id) {
  const index = lines.findIndex((line) => line.line === id);
  if (index < 0) throw new OutOfStep(`no line ${id}`);
  return index;
}

function changeLine(lines, id, change) {
  const changed = lines.slice();
  const index = indexOfLine(lines, id);
  changed[index] = { ...lines[index], ...change(lines[index]) };
  return changed;
}

/** Change a line wherever it is, in the cart or saved for later. */
function changeAnyLine(state, id, change) {
  const list = state.lines.some((line) => line.line === id) ? "lines" : "saved";
  return { ...state, [list]: changeLine(state[list], id, change) };
}

/** Raise a line by an item of an `add`, or put in a new one. Changes `lines`. */
function addItem(lines, { line: id, sku, name, unit_price, qty, for: member }) {
  const index = lines.findIndex((line) => line.line === id);
  if (index < 0) {
    lines.push({ line: id, sku, name, unit_price, qty, for: member, note: "" });
  } else {
    lines[index] = { ...lines[index], qty: lines[index].qty + qty, name, unit_price };
  }
}

function add(state, op) {
  const lines = state.lines.slice();
  for (const item of op.items) addItem(lines, item);
  return { ...state, lines };
}

function removeLine(state, { line }) {
  const list = state.lines.some((each) => each.line === line) ? "lines" : "saved";
  indexOfLine(state[list], line);
  return { ...state, [list]: state[list].filter((each) => each.line !== line) };
}

/** Move a line from one list to the other, or sum it into the line `into` that is there already. */
function moveLine(state, { line: id, into }, from, to) {
  if (state[to].some((line) => line.line === id)) return state; // An op without effect.
  const line = state[from][indexOfLine(state[from], id)];
  const rest = state[from].filter((each) => each !== line);
  const target = into
    ? changeLine(state[to], into, (twin) => ({
        qty: twin.qty + line.qty,
        note: twin.note || line.note,
      }))
    : [...state[to], line];
  return { ...state, [from]: rest, [to]: target };
}

function share(state, { users }) {
  const members = state.members.map((member) => {
    const again = users.find((user) => user.user === member.user);
    return again ? { ...member, ...again } : member;
  });
  const known = new Set(members.map((member) => member.user));
  const joined = users.filter((user) => !known.has(user.user));
  return { ...state, members: [...members, ...joined] };
}

/** Both notes, each once. */
function joinedNote(line, merged) {
  return [...new Set([line.note, merged.note].filter(Boolean))].join("\n");
}

/** A line of who is gone: the other's from now on, or summed into the other's line `into`. */
function takeOver(lines, { line: id, into }, user) {
  if (!into) return changeLine(lines, id, () => ({ for: user }));
  const line = lines[indexOfLine(lines, id)];
  const summed = (twin) => ({ qty: twin.qty + line.qty, note: joinedNote(twin, line) });
  return changeLine(
    lines.filter((each) => each !== line),
    into,
    summed,
  );
}

function merge(state, { user, into, role, name, lines: moved }) {
  const next = { ...state };
  for (const each of moved) {
    const list = next.lines.some((line) => line.line === each.line) ? "lines" : "saved";
    next[list] = takeOver(next[list], each, into);
  }
  const members = state.members.filter((member) => member.user !== user);
  const index = members.findIndex((member) => member.user === into);
  members.splice(index < 0 ? members.length : index, 1, { user: into, name, role });
  return { ...next, members };
}

function depart(state, { user, successor }) {
  const left = state.members.filter((member) => member.user !== user);
  const members = left.map((member) =>
    member.user === successor ? { ...member, role: "owner" } : member,
  );
  return { ...state, members };
}

const EFFECTS = {
  /** Who made the cart isn't told here. Clients meet this in the history alone. */
  create: (state, { name, currency }) => ({ ...state, name, currency }),
  /** A refusal on record: it takes a rev, and nothing took effect. */
  refuse: (state) => state,
  add,
  change_quantity: (state, op) => ({
    ...state,
    lines: changeLine(state.lines, op.line, (line) => ({ qty: line.qty + op.by })),
  }),
  set_quantity: (state, op) => ({
    ...state,
    lines: changeLine(state.lines, op.line, () => ({ qty: op.qty })),
  }),
  remove: removeLine,
  clear: (state) => ({ ...state, lines: [] }),
  rename: (state, op) => ({ ...state, name: op.name }),
  note: (state, op) =>
    op.line
      ? changeAnyLine(state, op.line, () => ({ note: op.text }))
      : { ...state, note: op.text },
  save_for_later: (state, op) => moveLine(state, op, "lines", "saved"),
  move_to_cart: (state, op) => moveLine(state, op, "saved", "lines"),
  share,
  unshare: (state, op) => ({
    ...state,
    members: state.members.filter((member) => member.user !== op.user),
  }),
  merge,
  depart,
  delete: (state) => ({ ...state, status: "deleted", members: [] }),
};

/** Lines, pieces and money of the cart; what is saved for later doesn't count. */
function totals(lines) {
  let pieces = 0;
  let subtotal = 0;
  for (const line of lines) {
    pieces += line.qty;
    subtotal += line.qty * line.unit_price;
  }
  return { lines: lines.length, pieces, subtotal, total: subtotal };
}

/** The state after `op` took effect. Raises `OutOfStep` where only a fresh state helps. */
export function applyOp(state, op) {
  const effect = EFFECTS[op.kind];
  if (!effect) throw new OutOfStep(`unknown kind ${op.kind}`);
  const next = effect(state, op);
  return next.lines === state.lines ? next : { ...next, totals: totals(next.lines) };
}
