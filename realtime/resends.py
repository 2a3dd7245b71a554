"""Rules of dedupe: what a used op_id is answered. See `Room._find_resend`."""

from __future__ import annotations

from realtime.errors import CartroomError
from realtime.pending import OpRequest
from realtime.wire import Event


def check_same(event: Event, request: OpRequest) -> Event:
    """The event, if the request has the content it was made of; else raise `conflict`."""
    if event.entry.hash != request.hash:
        raise other_content()
    return event


def other_content() -> CartroomError:
    return CartroomError(
        "conflict", "This op_id was used for another op. Send yours under a new number."
    )


def used_number() -> CartroomError:
    return CartroomError(
        "conflict", "This client has used a higher number here. Send the op under a new number."
    )
