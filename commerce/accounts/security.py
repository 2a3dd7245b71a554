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
    REGISTERED = "registered"
    CONFIRMED = "confirmed"
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - an event
    PASSWORD_REFUSED = "password_refused"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    PASSWORD_REHASHED = "password_rehashed"  # noqa: S105
    RESET_ASKED = "reset_asked"
    PASSWORD_RESET = "password_reset"  # noqa: S105
    RATE_LIMITED = "rate_limited"
    FORGERY_REFUSED = "forgery_refused"
    """A browser sent it without our page's doing."""
    REFUSED = "refused"
    """The policy refused somebody: `action` is what, `group` what they are."""
    EXPORTED = "exported"
    DELETION_BEGUN = "deletion_begun"
    DELETED = "deleted"
    PRODUCT_CHANGED = "product_changed"
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_DELETED = "webhook_deleted"
    WEBHOOK_SECRET_ROTATED = "webhook_secret_rotated"  # noqa: S105
    WEBHOOK_REPLAYED = "webhook_replayed"


def note(event: Event, by: str | None, **details: object) -> None:
    """Write the event's line. `by` is a user's id; `details` hold ids and words, no person's data.

    `by` is None where nobody has proved who they are.

    A field whose name the log takes for a secret is left out (`server.logs`).
    """
    log.info("security event", extra={"event": event.value, "by": by, **details})
