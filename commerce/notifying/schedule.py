"""When a mail about changes is due: by the member's choice, zone, quiet hours and time of day.

Pure. Moments are milliseconds since the epoch; times of day are minutes after midnight, as clocks
on the wall show them there and then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from commerce.notifying.zones import zone_of
from storage.users import User

Wanted = Literal["none", "digest", "at_once"]

_MAILED: Final[Mapping[str, Wanted]] = {"digest": "digest", "at_once": "at_once"}
MINUTE_MS: Final = 60_000
DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Preferences:
    """What somebody wants. `quiet`: from and to, the first minute in and the first one after."""

    changes: Wanted
    zone: ZoneInfo
    digest_at: int
    quiet: tuple[int, int] | None = None


def preferences_of(user: User) -> Preferences:
    """What this user wants. No mails, where it is a choice that a later version has made."""
    quiet = user.quiet_hours
    return Preferences(
        _MAILED.get(user.changes, "none"),
        zone_of(user.time_zone),
        minutes_of(user.digest_at),
        None if quiet is None else (minutes_of(quiet["from"]), minutes_of(quiet["to"])),
    )


def minutes_of(time: str) -> int:
    """ "08:30" as minutes after midnight."""
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


def due_at(preferences: Preferences, ready_ms: int) -> int | None:
    """When what is ready to be told from `ready_ms` on is to be mailed; None for never."""
    if preferences.changes == "none":
        return None
    if preferences.changes == "digest":
        ready_ms = next_digest(preferences, ready_ms)
    return after_quiet(preferences, ready_ms)


def next_digest(preferences: Preferences, since_ms: int) -> int:
    """The first moment from `since_ms` on at which the mail of a day is due.

    Where clocks jump over that time of day, it is as much later as they jump; where they show it
    twice, the first counts.
    """
    day = _local(preferences.zone, since_ms).date() - timedelta(days=1)
    hours, minutes = divmod(preferences.digest_at, 60)
    while True:
        there = datetime(day.year, day.month, day.day, hours, minutes, tzinfo=preferences.zone)
        moment = round(there.timestamp() * 1000)
        if moment >= since_ms:
            return moment
        day += timedelta(days=1)


def is_quiet(preferences: Preferences, at_ms: int) -> bool:
    """Whether the clocks show one of the quiet hours at this moment."""
    if preferences.quiet is None:
        return False
    begin, end = preferences.quiet
    there = _local(preferences.zone, at_ms)
    return (there.hour * 60 + there.minute - begin) % DAY_MINUTES < (end - begin) % DAY_MINUTES


def after_quiet(preferences: Preferences, at_ms: int) -> int:
    """`at_ms`, or the end of the quiet hours in which it is.

    Looked for a minute at a time, which no change of the clocks can mislead; that takes 1 ms.
    """
    while is_quiet(preferences, at_ms):
        at_ms += MINUTE_MS - at_ms % MINUTE_MS
    return at_ms


def _local(zone: ZoneInfo, at_ms: int) -> datetime:
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)).astimezone(zone)
