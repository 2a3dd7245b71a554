/** Whether the page shows a cart as it is: each line, in its group, in order, and all the sums. */

/** The page's language. */
export const LOCALE = "en-GB";

/** What the page shows of a cart, read from its elements; runs in the page. */
export function readPage() {
  const text = (element) => element?.textContent.trim() ?? "";
  const line = (element) => ({
    line: element.dataset.line,
    name: text(element.querySelector(".line-title")),
    qty: Number(element.querySelector(".qty")?.value ?? parseInt(text(element.querySelector(".plain-qty")), 10)),
    sum: text(element.querySelector(".line-total")),
    note: text(element.querySelector(".note")),
  });
  const group = (element) => ({
    user: element.dataset.for,
    sum: text(element.querySelector(".group-sum")),
    lines: [...element.querySelectorAll(".line")].map(line),
  });
  return {
    groups: [...document.querySelectorAll(".groups > .group")].map(group),
    saved: [...document.querySelectorAll(".saved .line")].map(line),
    count: text(document.querySelector(".totals > span")),
    total: text(document.querySelector(".total")),
  };
}

/** What it ought to show of `state` to `me`, a user's id, in `LOCALE`. */
export function wantedOf(state, me) {
  const format = new Intl.NumberFormat(LOCALE, { style: "currency", currency: state.currency });
  const money = (amount) => format.format(amount / 100);
  const pieces = (count) =>
    count === 1 ? "1 piece" : `${count.toLocaleString(LOCALE)} pieces`;
  const line = (each) => ({
    line: each.line,
    name: each.name,
    qty: each.qty,
    sum: money(each.qty * each.unit_price),
    note: each.note,
  });
  const order = [me, ...state.members.map(({ user }) => user)];
  const groups = [...new Set(order)].map((user) => {
    const lines = state.lines.filter((each) => each.for === user);
    const count = lines.reduce((sum, { qty }) => sum + qty, 0);
    const amount = lines.reduce((sum, { qty, unit_price }) => sum + qty * unit_price, 0);
    return { user, sum: `${pieces(count)} · ${money(amount)}`, lines: lines.map(line) };
  });
  return {
    groups: groups.filter(({ lines }) => lines.length),
    saved: state.saved.map(line),
    count: `Total of ${pieces(state.totals.pieces)}`,
    total: money(state.totals.total),
  };
}

/** Where two values of JSON differ first, as a path; "" if they don't. */
export function difference(one, other, path = "page") {
  if (Object.is(one, other)) return "";
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) {
    return `${path}: ${JSON.stringify(one)} instead of ${JSON.stringify(other)}`;
  }
  for (const name of new Set([...Object.keys(one), ...Object.keys(other)])) {
    const found = difference(one[name], other[name], `${path}.${name}`);
    if (found) return found;
  }
  return "";
}
