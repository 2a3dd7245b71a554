"""From a request to a decision on it, on a given state. What it needs was looked up before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from realtime.entries import encode_entry
from realtime.errors import CartroomError
from realtime.judge import Context, judge, skus_touched, users_named_in
from realtime.limits import COMMIT_BYTES_MAX, COMMIT_OPS_MAX
from realtime.pending import Decision, NeedsFacts, OpRequest
from realtime.reducer import Effect, Entry, Results
from realtime.refusing import effect_of
from realtime.state import CartState

if TYPE_CHECKING:
    from realtime.services import Services


def missing(services: Services, head: CartState, request: OpRequest) -> NeedsFacts | None:
    """What must be looked up before the request can be judged on `head`.

    What the catalog has at hand is given to the request.
    """
    skus = skus_touched(head, request.op)
    if request.facts:
        skus -= request.facts.keys()
    if skus:
        facts = services.catalog.cached(skus)
        if facts is not None:
            request.facts.update(dict.fromkeys(skus))
            request.facts.update(facts)
            skus = set()
    users = frozenset() if request.users_known else users_named_in(request.op)
    return NeedsFacts(frozenset(skus), users) if skus or users else None


def decide(services: Services, head: CartState, request: OpRequest) -> Decision:
    """The entry that follows `head`, or the refusal."""
    context = Context(request.user, request.facts, frozenset(request.users), services.limits)
    try:
        judgement = judge(head, request.op, context)
    except CartroomError as error:
        return refuse(services, head, request, error)
    entry = _entry(services, head, request, judgement.effect, judgement.results)
    try:
        return Decision(request, entry, encode_entry(entry))
    except CartroomError as error:
        return Decision(request, None, b"", error)


def _needs_record(head: CartState, request: OpRequest, error: CartroomError) -> bool:
    """Whether the refusal must go into the log, as what follows `head`.

    Not of who is no member: they write nothing into a cart, not even this.
    """
    return (
        request.roaming
        and request.op_id is not None
        and not error.temporary
        and not Decision(request, None, b"", error).is_sure_refusal
        and head.role(request.user) is not None
    )


def refuse(
    services: Services, head: CartState, request: OpRequest, error: CartroomError
) -> Decision:
    """The refusal; with the entry that records it, where it must be on record."""
    if not _needs_record(head, request, error):
        return Decision(request, None, b"", error)
    entry = _entry(services, head, request, *effect_of(error))
    try:
        return Decision(request, entry, encode_entry(entry), error)
    except CartroomError:
        # It quotes what can't be stored; so the op can't take effect anywhere.
        return Decision(request, None, b"", error)


def _entry(
    services: Services,
    head: CartState,
    request: OpRequest,
    effect: Effect,
    results: Results | None,
) -> Entry:
    return Entry(
        rev=head.rev + 1,
        op_id=request.op_id,
        by=request.user,
        at=max(services.clock.wall_ms(), head.at),
        op=effect,
        hash=request.hash,
        results=results,
    )


def next_commit(queue: Sequence[Decision]) -> int:
    """How many decisions, from the front of the queue, go into one commit."""
    count = size = 0
    for index, decision in enumerate(queue):
        if decision.entry is None:
            continue
        if count == COMMIT_OPS_MAX or (count and size + len(decision.raw) > COMMIT_BYTES_MAX):
            return index
        count += 1
        size += len(decision.raw)
    return len(queue)
