"""Refusals on record: a final refusal as an entry of the log, and the entry as the refusal again.

An op that its client has left at another instance, too, may be under way there. Refused here in
memory alone, it could take effect after all. A refusal in the log uses the op's number: whoever
else holds the op finds it there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from realtime.errors import CartroomError
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
