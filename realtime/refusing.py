"""Refusals on record: a final refusal as an entry of the log, and the entry as the refusal again.

An op that its client has left at another instance, too, may be under way there. Refused here in
memory alone, it could take effect after all. A refusal in the log uses the op's number: whoever
else holds the op finds it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from realtime.errors import CartroomError
from realtime.pending import Decision, OpRequest
from realtime.reducer import REFUSE, Effect, Results
from realtime.wire import Event

_OF_THE_EFFECT: Final = ("kind", "code", "message")


def effect_of(error: CartroomError) -> tuple[Effect, Results | None]:
    """What is logged of a refusal. Results of items are for its client alone, as with an `add`."""
    extra = {name: value for name, value in error.extra.items() if name != "results"}
    effect = {"kind": REFUSE, "code": error.code, "message": error.message, **extra}
    return effect, error.extra.get("results")


def error_of(event: Event) -> CartroomError | None:
    """The refusal on record, as it was told the first time; None for an op that took effect."""
    effect = msgspec.json.decode(event.op)
    if effect["kind"] != REFUSE:
        return None
    extra = {name: value for name, value in effect.items() if name not in _OF_THE_EFFECT}
    if event.results is not None:
        extra["results"] = msgspec.json.decode(event.results)
    return CartroomError(effect["code"], effect["message"], **extra)


def signed_out(request: OpRequest, *, is_new: bool) -> CartroomError:
    """What an op is told whose session ended before it was in a commit. It has no effect here.

    Who is signed out writes nothing, not even a refusal. So it is final only for an op that can't
    have had its effect, nor be under way at another instance; another may be sent again by who
    signs in anew.
    """
    final = is_new and not request.roaming
    message = "Your session has ended; sign in again."
    return CartroomError("unauthorized" if final else "unavailable", message)


def turn_away_queued(queue: Iterable[Decision]) -> bool:
    """Answer those whose session has ended, of decisions that are not in a commit yet.

    True when there is a decision now that nobody wants. One whose op was sent again by a session
    that still counts stays as it is.
    """
    unwanted = False
    for decision in queue:
        waiting = [one for one in decision.requests() if not one.answered]
        ended = [one for one in waiting if one.is_revoked]
        is_wanted = len(ended) < len(waiting)
        unwanted |= not is_wanted
        for request in ended:
            request.answer(signed_out(request, is_new=not is_wanted))
    return unwanted
