"""Who is to be told what, from a cart's events alone. Pure: no clock, no store.

The same events after the same audience always make the same: so whoever does it again, or at the
same time, does the same again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from events.event import Event
from storage.audiences import Audience, Window
from storage.notifications import CHANGES, DELETED, REMOVED, SHARED

UNTOLD_KINDS: Final = frozenset({"create", "refuse"})
"""Of the one there is nobody to be told yet; the other has had no effect."""


@dataclass(frozen=True, slots=True)
class Fact:
    """An op, as others are told of it. `lines` as in a notification."""

    rev: int
    kind: str
    at: int
    lines: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True)
class News:
    """What some members are to be told, of one notification each. `facts` ascend by rev."""

    kind: str
    actor: str
    window: Window
    cart_name: str
    recipients: frozenset[str]
    facts: list[Fact] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Gone:
    """A user who is nobody any more: a guest who is part of the account `into`, or None."""

    user: str
    into: str | None = None


class Following:
    """Follows a cart's events from an audience on. `take` them in order, without a gap.

    `news` is what came of it, `left` are those who aren't members any more.
    """

    def __init__(self, audience: Audience, window_ms: int) -> None:
        self.audience = audience
        self.begun = audience.rev
        self.news: list[News] = []
        self.left: set[str] = set()
        self.gone: Gone | None = None
        """After this, what came of it is to be stored before the next event is taken."""
        self._window_ms = window_ms
        self._changes: dict[tuple[str, int, frozenset[str]], News] = {}

    def take(self, event: Event) -> None:
        """Raises KeyError and the like for what is no event of a cart."""
        before = self.audience
        if event.sequence != before.rev + 1:
            raise AssertionError(f"{before.cart}: {event.sequence} can't follow {before.rev}")
        op, by = event.data["op"], event.data["by"]
        kind = op["kind"]
        after = replace(before, rev=event.sequence, **_changed(before, op, by))
        self.audience = after
        fact = Fact(event.sequence, kind, event.time_ms, _lines(op) if kind == "add" else ())
        self.left |= before.members - after.members
        if kind in UNTOLD_KINDS:
            return
        if kind == "share":
            self._tell(SHARED, by, after.members - before.members, fact)
        elif kind == "unshare" and op["user"] != by:
            self._tell(REMOVED, by, before.members - after.members, fact)
        elif kind == "delete":
            self._tell(DELETED, by, before.members - {by}, fact)
        elif kind == "merge":
            self.gone = Gone(op["user"], op["into"])
        elif kind == "depart":
            self.gone = Gone(op["user"])
        self._collect(by, (before.members & after.members) - {by}, fact)

    def pass_over(self, event: Event) -> None:
        """Go on behind an event that nothing can be made of."""
        self.audience = replace(self.audience, rev=event.sequence)

    def _tell(self, kind: str, by: str, recipients: frozenset[str], fact: Fact) -> None:
        """Something that is told by itself."""
        if recipients:
            window = Window(fact.rev, fact.at)
            self.news.append(News(kind, by, window, self.audience.name, recipients, [fact]))

    def _collect(self, by: str, recipients: frozenset[str], fact: Fact) -> None:
        """Something that is told with whatever else the same member does within a while."""
        if not recipients:
            return
        window = self._window(by, fact)
        key = (by, window.first_rev, recipients)
        news = self._changes.get(key)
        if news is None:
            news = self._changes[key] = News(CHANGES, by, window, "", recipients)
            self.news.append(news)
        news.cart_name = self.audience.name
        news.facts.append(fact)

    def _window(self, by: str, fact: Fact) -> Window:
        """The open collection of what this member does. Times don't go back within a cart."""
        begun = fact.at - self._window_ms
        windows = self.audience.windows
        window = windows.get(by)
        if window is not None and window.opened_at > begun:
            return window
        window = Window(fact.rev, fact.at)
        still_open = {user: one for user, one in windows.items() if one.opened_at > begun}
        self.audience = replace(self.audience, windows={**still_open, by: window})
        return window


def _changed(before: Audience, op: Mapping[str, Any], by: str) -> dict[str, Any]:
    """What an op makes another of an audience."""
    changed: dict[str, Any] = {}
    match op["kind"]:
        case "create":
            changed = {"name": op["name"], "members": frozenset({by})}
        case "rename":
            changed = {"name": op["name"]}
        case "share":
            changed = {"members": before.members | {grant["user"] for grant in op["users"]}}
        case "unshare" | "depart":
            changed = {"members": before.members - {op["user"]}}
        case "merge":
            changed = {"members": before.members - {op["user"]} | {op["into"]}}
        case "delete":
            changed = {"members": frozenset(), "windows": {}}
    return changed


def _lines(op: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {"line": item["line"], "sku": item["sku"], "name": item["name"], "qty": item["qty"]}
        for item in op["items"]
    )
