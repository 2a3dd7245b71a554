"""Time zones by their names, from the IANA's database."""

from __future__ import annotations

import logging
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

UTC_NAME: Final = "UTC"

log = logging.getLogger(__name__)


def is_zone(name: str) -> bool:
    """Whether this is the name of a time zone, in its own spelling."""
    return name in _names()


def zone_of(name: str | None) -> ZoneInfo:
    """The zone of this name. UTC for None, and for one that only other instances know."""
    if name is None:
        return ZoneInfo(UTC_NAME)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        log.warning("No such time zone here; taken as UTC", extra={"zone": name[:64]})
        return ZoneInfo(UTC_NAME)


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())
