"""What a notification becomes by further ops. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from events.notifications.following import Fact, News
from storage.notifications import CHANGES, Inbox, Notification, notification_id

LINES_MAX: Final = 5


def identity_of(user: str, cart: str, news: News) -> str:
    return notification_id(user, cart, news.actor, news.kind, news.window.first_rev)


def told(
    inbox: Inbox, cart: str, news: Sequence[News], seen: int, muted: bool
) -> dict[str, Notification]:
    """What an inbox holds of this news, by id, once its user is told of it.

    Not of what it holds already, nor up to the rev `seen`, nor of changes where they are `muted`.
    """
    held: dict[str, Notification] = {}
    for one in news:
        if muted and one.kind == CHANGES:
            continue
        identity = identity_of(inbox.user, cart, one)
        known = held.get(identity) or inbox.find(identity)
        last = seen if known is None else max(seen, known.last_rev)
        facts = [fact for fact in one.facts if fact.rev > last]
        if facts:
            known = _raised(known or _opened(identity, cart, one, facts[0]), one, facts)
        if known is not None:
            held[identity] = known
    return held


def _opened(identity: str, cart: str, news: News, first: Fact) -> Notification:
    """A notification that has nothing to tell yet."""
    return Notification(
        id=identity,
        kind=news.kind,
        cart=cart,
        cart_name=news.cart_name,
        actor=news.actor,
        window=news.window.first_rev,
        first_rev=first.rev,
        last_rev=0,
        count=0,
        opened_at=first.at,
        at=first.at,
    )


def _raised(one: Notification, news: News, facts: Sequence[Fact]) -> Notification:
    kinds = dict(one.kinds)
    lines: list[Mapping[str, Any]] = list(one.lines)
    for fact in facts:
        kinds[fact.kind] = kinds.get(fact.kind, 0) + 1
        lines = _with(lines, fact.lines)
    return replace(
        one,
        cart_name=news.cart_name,
        last_rev=facts[-1].rev,
        count=one.count + len(facts),
        at=facts[-1].at,
        kinds=kinds,
        lines=lines,
        read=False,
        mailed=False,
    )


def _with(
    lines: list[Mapping[str, Any]], added: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The lines with what was added to them, and the first few others."""
    for line in added:
        place = next((at for at, one in enumerate(lines) if one["line"] == line["line"]), None)
        if place is not None:
            lines[place] = {**line, "qty": lines[place]["qty"] + line["qty"]}
        elif len(lines) < LINES_MAX:
            lines.append(line)
    return lines
