/** What was done to the cart, newest first, page by page and live. */

import { deed } from "../describe.js";
import { h } from "../dom.js";
import { avatar } from "./avatar.js";

const PAGE = 50;

const sameDay = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const otherDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function when(at) {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return h("time", { datetime: at }, (today ? sameDay : otherDay).format(date));
}

/**
 * `{element, open(), hear(entry), reset()}`. `open` loads the newest page once, `hear` takes what
 * happens from then on, `reset` says that something may have been missed. `names` as in
 * `describe`; `learn(line, name)` is told lines' names.
 */
export function historyPart(room, names, learn) {
  const list = h("ol.history", { "aria-label": "Changes, newest first" });
  const told = h("p.finder-status", { role: "status" });
  const more = h("button.more", { type: "button", hidden: true, onclick: () => load() });
  let opened = false;
  let loading = false;
  let oldest = null;
  let newest = 0;
  let heard = [];

  const row = (entry) => {
    const who = names.person(entry.by) ?? "Somebody";
    return h(
      "li.deed",
      { "data-rev": String(entry.rev) },
      avatar(entry.by, who),
      h("p", {}, h("strong", {}, who), ` ${deed(entry.op, entry.by, names)}`),
      when(entry.at),
    );
  };

  const showNews = () => {
    for (const entry of heard.splice(0)) {
      if (entry.rev <= newest) continue;
      newest = entry.rev;
      list.prepend(row(entry));
    }
  };

  const showPage = (page) => {
    for (const entry of page.ops) {
      for (const item of entry.op.items ?? []) learn(item.line, item.name);
    }
    list.append(...page.ops.map(row).reverse());
    newest = Math.max(newest, page.ops.at(-1)?.rev ?? 0);
    oldest = page.ops[0]?.rev ?? oldest;
    more.hidden = !page.more;
    more.textContent = "Earlier changes";
    told.textContent = "";
  };

  const load = async () => {
    if (loading) return;
    loading = true;
    more.disabled = true;
    if (oldest === null) told.textContent = "Loading…";
    try {
      showPage(await room.history({ before: oldest ?? undefined, limit: PAGE }));
    } catch (error) {
      told.textContent = error.message;
      more.hidden = false;
      more.textContent = "Try again";
    } finally {
      loading = false;
      more.disabled = false;
    }
    showNews();
  };

  return {
    element: h("div.history-part", {}, told, list, more),
    open() {
      if (opened) return;
      opened = true;
      load();
    },
    hear(entry) {
      if (!opened) return;
      heard.push(entry);
      if (!loading) showNews();
    },
    reset() {
      if (!opened || loading) return;
      oldest = null;
      newest = 0;
      heard = [];
      list.replaceChildren();
      load();
    },
  };
}
