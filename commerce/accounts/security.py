"""Security events: one log line each of who did what on whom, in ids alone.

They are told from other lines by the logger `commerce.security`. docs/security.md lists them.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Final

log: Final = logging.getLogger("commerce.security")


class Event(StrEnum):
    """What is noted."""

    ROLE_CHANGED = "role_changed"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_ENABLED = "account_enabled"
    SIGNED_OUT_BY_STAFF = "signed_out_by_staff"
    PERSON_LOOKED_UP = "person_looked_up"
    PRODUCT_CHANGED = "product_changed"


def note(event: Event, by: str, **details: object) -> None:
    """Write the event's line. `by` is a user's id; `details` hold ids and words, no person's data.

    A field whose name the log takes for a secret is left out (`server.logs`).
    """
    log.info("security event", extra={"event": event.value, "by": by, **details})
