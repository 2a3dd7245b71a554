"""Ops on their way through a room: requests, the decisions on them, and the commit in flight."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from commerce.catalog.product import ProductFacts
from realtime.errors import CartroomError
from realtime.ops import Op
from realtime.reducer import Entry
from realtime.state import CartState
from realtime.wire import Event
from storage.oplog import Commit

Answer = Event | CartroomError


class Peer(Hashable, Protocol):
    """A connected client, as a room sees it. No method blocks."""

    user: str
    client: str
    closed: bool
    """The connection has ended."""
    heard_s: float
    """When it last said anything, by the monotonic clock."""
    revoked: bool
    """The session that it speaks for has ended: nothing of it goes into a commit any more."""

    def send(self, frame: bytes) -> None: ...

    def hold(self) -> None:
        """Gather what is sent from now on, until `release` sends it at once."""

    def release(self) -> None: ...

    def backlog(self) -> int:
        """Bytes sent and not yet taken by the network."""

    def fell_behind(self, cart: str) -> None:
        """The room skips pushes to this peer until it has read what it was sent."""

    def gone(self, cart: str) -> None:
        """The room has ended this peer's subscription."""


class OpRequest(msgspec.Struct, eq=False):
    """An op as a client asked for it. `done` is told the answer, once.

    `op_id` is None only for the creation of a cart under a random id. `facts` and `users` are
    what has been looked up for it so far; a sku that no product has is present with None.
    `roaming`: its client may have left it at another instance, too. `since_rev` is the committed
    rev at which the room got it first.
    """

    user: str
    op_id: str | None
    client: str
    n: int
    op: Op
    hash: str
    peer: Peer | None
    done: Callable[[Answer], None]
    deadline: float
    facts: dict[str, ProductFacts | None] = {}
    users: dict[str, str] = {}
    users_known: bool = False
    searched_rev: int = 0
    """The log holds no op of this op_id up to here."""
    roaming: bool = False
    since_rev: int = -1
    races: int = 0
    on_refused: Callable[[OpRequest, CartroomError], None] | None = None
    """Hears of a refusal as it is told."""
    late: bool = False
    """Its answer may have to wait for one that comes after its commit: so it gets pushes, too."""
    answered: bool = False

    @property
    def is_revoked(self) -> bool:
        return self.peer is not None and self.peer.revoked

    def answer(self, answer: Answer) -> None:
        if not self.answered:
            self.answered = True
            if self.on_refused is not None and isinstance(answer, CartroomError):
                self.on_refused(self, answer)
            self.done(answer)


def still_waiting(
    requests: Iterable[OpRequest], now_s: float, answer: CartroomError
) -> list[OpRequest]:
    """Answer those whose time is over; return those that have no answer yet."""
    waiting: list[OpRequest] = []
    for request in requests:
        if request.deadline <= now_s:
            request.answer(answer)
        elif not request.answered:
            waiting.append(request)
    return waiting


class Decision(msgspec.Struct, eq=False):
    """What came of judging a request: an entry to commit, or a refusal, or both: one on record.

    Nobody is told before the state that it was judged on is committed. `resends` are the same op,
    sent again meanwhile.
    """

    request: OpRequest
    entry: Entry | None
    raw: bytes
    error: CartroomError | None = None
    resends: list[OpRequest] = []

    @property
    def is_sure_refusal(self) -> bool:
        """A refusal that no later state can make untrue: the content is at fault, or the number."""
        return self.error is not None and self.error.code in ("bad_request", "conflict")

    def requests(self) -> list[OpRequest]:
        return [self.request, *self.resends]

    def answer(self, answer: Answer) -> None:
        self.request.answer(answer)
        for resend in self.resends:
            resend.answer(answer)


class Flight(msgspec.Struct, eq=False):
    """A room's commit under way. `state` is the cart's state at its end."""

    decisions: list[Decision]
    entries: list[Entry]
    state: CartState
    commit: Commit
    started_s: float


@dataclass(frozen=True, slots=True)
class NeedsFacts:
    """The op can't be judged before these are looked up."""

    skus: frozenset[str]
    users: frozenset[str]


@dataclass(frozen=True, slots=True)
class NeedsLog:
    """Whether the op was committed can be told from the log alone. It lies at or below `rev`."""

    rev: int


Need = NeedsFacts | NeedsLog
