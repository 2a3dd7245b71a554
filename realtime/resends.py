"""Rules of dedupe: what a used op_id is answered. See `Resends.find`."""

from __future__ import annotations

from collections import OrderedDict

from realtime.errors import CartroomError
from realtime.limits import REFUSALS_MAX
from realtime.pending import Answer, Decision, NeedsLog, OpRequest
from realtime.recent import RecentOps
from realtime.refusing import error_of
from realtime.state import CartState
from realtime.wire import Event

Key = tuple[str, str]


class Undecided:
    """Decisions that nobody was told yet, by user and op_id, so that resends join them."""

    def __init__(self) -> None:
        self._decisions: dict[Key, Decision] = {}

    def add(self, decision: Decision) -> None:
        request = decision.request
        if request.op_id is not None:
            self._decisions[(request.user, request.op_id)] = decision

    def forget(self, decision: Decision) -> None:
        request = decision.request
        if request.op_id is not None:
            key = (request.user, request.op_id)
            if self._decisions.get(key) is decision:
                del self._decisions[key]

    def find(self, request: OpRequest) -> Decision | None:
        """The decision on the same op. Raises `conflict` when another content is under way.

        A refused op uses no number: beside one, other content is another op.
        """
        decision = self._decisions.get((request.user, request.op_id or ""))
        if decision is None or decision.request.hash == request.hash:
            return decision
        if decision.entry is None:
            return None
        raise other_content()

    def passed(self, request: OpRequest) -> bool:
        """Whether the request's client has a higher number under way.

        For a client that the head has forgotten again, and the log can't tell of yet.
        """
        return any(
            other.user == request.user and other.client == request.client and other.n > request.n
            for other in (one.request for one in self._decisions.values() if one.entry is not None)
        )


class Refusals:
    """What was refused for good lately. A copy of it that comes later has no effect either.

    Copies come soon, from a client that resent in doubt; so the latest `REFUSALS_MAX` will do.
    """

    def __init__(self) -> None:
        self._refused: OrderedDict[Key, tuple[str, CartroomError]] = OrderedDict()

    def note(self, request: OpRequest, error: CartroomError) -> None:
        if request.op_id is None or error.temporary:
            return
        key = (request.user, request.op_id)
        self._refused[key] = (request.hash, error)
        self._refused.move_to_end(key)
        if len(self._refused) > REFUSALS_MAX:
            self._refused.popitem(last=False)

    def check(self, request: OpRequest) -> None:
        """Raise the refusal that the same op has had."""
        if not self._refused:
            return
        hash_, error = self._refused.get((request.user, request.op_id or ""), ("", None))
        if error is not None and hash_ == request.hash:
            raise error


class Resends:
    """What one room knows of ops that may be sent again. `recent` are its last committed ops."""

    def __init__(self, recent: RecentOps) -> None:
        self._recent = recent
        self.untold = Undecided()
        self.refusals = Refusals()

    def find(
        self, request: OpRequest, committed: CartState, head: CartState
    ) -> Answer | Decision | NeedsLog | None:
        """What is known of an op that may have been sent before; None for a new one.

        Raises `conflict` for an op_id that can have no effect any more, and the refusal that
        the op has had already.
        """
        op_id = request.op_id
        if op_id is None:
            return None
        last, rev = committed.last_n(request.user, request.client)
        evicted = committed.evicted_rev(request.user) if last == 0 else 0
        if request.n <= last or evicted:
            event = self._recent.find(request.user, op_id)
            if event is not None:
                return answer_of(event, request)
            if last and self._recent.first_rev == 1:
                raise used_number()
            if last or request.searched_rev < evicted:
                return NeedsLog(rev or evicted)
        untold = self.untold.find(request)
        if untold is not None and (untold.entry is not None or not request.roaming):
            return untold
        if request.n <= head.last_n(request.user, request.client)[0]:
            raise used_number()
        if head.evicted_rev(request.user) > committed.rev and self.untold.passed(request):
            raise used_number()
        if untold is None:
            self.refusals.check(request)
        return untold


def answer_of(event: Event, request: OpRequest) -> Answer:
    """What a committed op was answered, if the request has its content; else raise `conflict`."""
    if event.hash != request.hash:
        raise other_content()
    return error_of(event) or event


def other_content() -> CartroomError:
    return CartroomError(
        "conflict", "This op_id was used for another op. Send yours under a new number."
    )


def used_number() -> CartroomError:
    return CartroomError(
        "conflict", "This client has used a higher number here. Send the op under a new number."
    )
