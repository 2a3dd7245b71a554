"""What each socket saw of a cart: each rev once, in order, and only what it may see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.checker.evidence import Evidence
from tests.checker.linear import Timeline
from tests.checker.violation import (
    BACK,
    GAP,
    OUTSIDER,
    REORDER,
    REPEAT,
    STALE,
    UNASKED,
    Violation,
    proof,
)
from tests.history import CLOSED, RECEIVED, SENT, Message, Record

ABOUT_CART = ("cart.op", "cart.join", "cart.history", "cart.leave", "presence.set")
PUSHES = ("cart.ops", "cart.state", "cart.gone", "presence.state", "presence.diff")


@dataclass
class Seat:
    """A socket's place in a cart."""

    joined: bool = False
    at: int = 0
    """The last rev that came without a gap before it."""
    start: tuple[Record, ...] = ()
    """The join or state that it began with, or began anew."""
    last: tuple[Record, ...] = ()
    """What told the last rev since."""
    ahead: list[Record] = field(default_factory=list)
    """Own `ok`s beyond a gap: right only if a fresh state comes next."""
    lost: bool = False
    """A violation was found; the seat is judged again from its next state."""
    owed: list[Record] = field(default_factory=list)
    """Requests without an answer, in order."""
    asked_at: dict[int, int] = field(default_factory=dict)
    """By a request's `seq`, the last rev that had come by then."""

    def stand(self, rev: int, *records: Record) -> None:
        self.joined, self.lost, self.at = True, False, rev
        self.start, self.last, self.ahead = records, (), []

    @property
    def since(self) -> tuple[Record, ...]:
        return proof(self.start, self.last)

    def end(self) -> None:
        self.joined, self.lost, self.ahead = False, False, []


class Session:
    """Follows one socket, record by record."""

    def __init__(
        self,
        evidence: Evidence,
        members: Mapping[str, Mapping[int, frozenset[str]]],
        *,
        one_server: bool,
    ) -> None:
        self._evidence = evidence
        self._members = members
        self._one_server = one_server
        self._seats: dict[str, Seat] = defaultdict(Seat)

    def follow(self, record: Record) -> Iterator[Violation]:
        message = record.message or {}
        if record.what == SENT and message.get("type") in ABOUT_CART:
            seat = self._seats[message["cart"]]
            seat.owed.append(record)
            seat.asked_at[record.seq] = seat.at if seat.joined else 0
        elif record.what == CLOSED:
            self._seats.clear()
        elif record.what == RECEIVED and message["type"] in PUSHES:
            yield from self._pushed(record, message)
        elif record.what == RECEIVED and record.seq in self._evidence.request_of:
            yield from self._answered(record, self._evidence.request_of[record.seq], message)

    def end(self) -> Iterator[Violation]:
        """The history ends, and the socket was still open."""
        for cart, seat in self._seats.items():
            yield from self._unexcused(cart, seat)

    def _unexcused(self, cart: str, seat: Seat, *then: Record) -> Iterator[Violation]:
        if seat.ahead and not seat.lost:
            seat.lost = True
            got = (seat.ahead[0].message or {})["rev"]
            text = f"rev {got} was told as an answer after rev {seat.at}, and no fresh state came"
            answer = self._evidence.with_request(seat.ahead[0])
            yield Violation(GAP, cart, text, proof(seat.since, answer, list(then)))

    # Answers

    def _answered(self, record: Record, request: Record, message: Message) -> Iterator[Violation]:
        asked = request.message or {}
        cart = asked.get("cart") or message.get("cart")
        if cart is None or asked["type"] not in (*ABOUT_CART, "cart.create"):
            return
        seat = self._seats[cart]
        if request in seat.owed:
            # What is refused unread is told ahead of what waits.
            unread = message.get("temporary") or message.get("code") == "bad_request"
            if seat.owed[0] is not request and not unread:
                text = "an answer came before that to an earlier request about the cart"
                yield Violation(UNASKED, cart, text, proof(seat.owed[0], request, record))
            seat.owed.remove(request)
        if message["type"] == "error":
            return
        if asked["type"] in ("cart.join", "cart.create"):
            yield from self._joined(cart, seat, record, request, message)
        elif asked["type"] == "cart.op":
            yield from self._own(cart, seat, record, request, message["rev"])
        elif asked["type"] == "cart.leave":
            seat.end()
        elif asked["type"] == "cart.history" and message["ops"]:
            yield from self._history(cart, seat, record, request, message)

    def _joined(
        self, cart: str, seat: Seat, record: Record, request: Record, message: Message
    ) -> Iterator[Violation]:
        asked, rev = request.message or {}, message["rev"]
        known, where = self._evidence.carts[cart].seen_before(request.seq)
        named = asked.get("rev") or 0
        if rev < named <= known:
            text = f"joined with rev {named}, and was answered with rev {rev}"
            yield Violation(BACK, cart, text, proof(where, request, record))
        elif seat.joined and rev < seat.at:
            text = f"joined anew at rev {rev}, after rev {seat.at}"
            yield Violation(BACK, cart, text, proof(seat.since, request, record))
        yield from self._fresh(cart, rev, record, request)
        if "ops" in message:
            revs = [op["rev"] for op in message["ops"]]
            if revs != list(range(named + 1, rev + 1)):
                text = f"asked for what follows rev {named} up to rev {rev}, and got {revs}"
                yield Violation(GAP, cart, text, proof(request, record))
        if record.user not in self._members[cart].get(rev, {record.user}):
            text = f"{record.user} joined at rev {rev}, and was no member then"
            yield Violation(OUTSIDER, cart, text, proof(request, record))
        seat.stand(rev, request, record)

    def _fresh(self, cart: str, rev: int, record: Record, request: Record) -> Iterator[Violation]:
        known, where = self._evidence.carts[cart].seen_before(request.seq)
        if self._one_server and where is not None and rev < known:
            text = f"answered with rev {rev}, but rev {known} was known before the question"
            known_by = self._evidence.with_request(where)
            yield Violation(STALE, cart, text, proof(known_by, request, record))

    def _own(
        self, cart: str, seat: Seat, record: Record, request: Record, rev: int
    ) -> Iterator[Violation]:
        if not seat.joined or seat.lost:
            return
        if rev == seat.at + 1 and not seat.ahead:
            seat.at, seat.last = rev, (request, record)
        elif rev > seat.at:
            seat.ahead.append(record)  # a socket that is behind gets answers, but no pushes
        elif not self._was_resent(cart, record, request):
            seat.lost = True
            text = f"rev {rev} came as an answer after rev {seat.at}, and its op was sent once"
            told = self._told(cart, record, rev)
            yield Violation(REPEAT, cart, text, proof(seat.since, told, request, record))

    def _was_resent(self, cart: str, record: Record, request: Record) -> bool:
        op_id = (request.message or {})["op_id"]
        attempts = self._evidence.carts[cart].by_op_id[record.user, op_id]
        return sum(one.request.seq < record.seq for one in attempts) > 1

    def _told(self, cart: str, before: Record, rev: int) -> tuple[Record, ...]:
        """How the same socket was told a rev earlier, if it was."""
        for sighting in self._evidence.carts[cart].sightings.get(rev, ()):
            if sighting.seq < before.seq and sighting.records[-1].conn == before.conn:
                return sighting.records
        return ()

    def _history(
        self, cart: str, seat: Seat, record: Record, request: Record, message: Message
    ) -> Iterator[Violation]:
        asked = request.message or {}
        revs = [op["rev"] for op in message["ops"]]
        if revs != list(range(revs[0], revs[-1] + 1)):
            text = f"the history shows revs {revs}"
            yield Violation(GAP, cart, text, proof(request, record))
        if asked.get("before") is None:
            # While it is read, pushes go on.
            known = seat.asked_at[request.seq]
            if seat.joined and not seat.lost and revs[-1] < known:
                text = f"the history ends at rev {revs[-1]}, asked for at rev {known}"
                yield Violation(BACK, cart, text, proof(seat.since, request, record))
            yield from self._fresh(cart, revs[-1], record, request)

    # Pushes

    def _pushed(self, record: Record, message: Message) -> Iterator[Violation]:
        cart = message["cart"]
        seat = self._seats[cart]
        if not seat.joined:
            if not seat.lost:
                text = f"{message['type']} came to who has not joined"
                yield Violation(UNASKED, cart, text, proof(record))
            return
        if message["type"] == "cart.gone":
            yield from self._gone(cart, seat, record, message["reason"])
        elif message["type"] == "cart.state":
            yield from self._restarted(cart, seat, record, message["rev"])
        elif message["type"] == "cart.ops" and not seat.lost:
            yield from self._unexcused(cart, seat, record)
            if not seat.lost:
                yield from self._next(cart, seat, record, [op["rev"] for op in message["ops"]])

    def _gone(self, cart: str, seat: Seat, record: Record, reason: str) -> Iterator[Violation]:
        members = self._members[cart]
        left = (rev for rev in members if rev >= seat.at and record.user not in members[rev])
        if reason != "unavailable" and seat.at in members and next(left, None) is None:
            text = f"{record.user} was told gone ({reason}), and was a member all the time"
            yield Violation(UNASKED, cart, text, proof(seat.since, record))
        seat.end()

    def _restarted(self, cart: str, seat: Seat, record: Record, rev: int) -> Iterator[Violation]:
        answered = [(one.message or {})["rev"] for one in seat.ahead]
        if rev < max(seat.at, *answered, 0) and not seat.lost:
            text = f"a fresh state of rev {rev} came after rev {max(seat.at, *answered, 0)}"
            ahead = [one for later in seat.ahead for one in self._evidence.with_request(later)]
            yield Violation(BACK, cart, text, proof(seat.since, ahead, record))
        yield from self._allowed(cart, record, rev)
        seat.stand(rev, record)

    def _next(self, cart: str, seat: Seat, record: Record, revs: list[int]) -> Iterator[Violation]:
        for rev in revs:
            if rev == seat.at + 1:
                seat.at = rev
                continue
            seat.lost = True
            if rev <= seat.at:
                text = f"rev {rev} was pushed after rev {seat.at}"
                told = self._told(cart, record, rev)
                yield Violation(REPEAT, cart, text, proof(seat.since, told, record))
                return
            late = self._comes_late(cart, record, seat.at + 1)
            kind = REORDER if late else GAP
            text = f"rev {rev} was pushed after rev {seat.at}"
            yield Violation(kind, cart, text, proof(seat.since, record, late))
            return
        if revs:
            seat.last = (record,)
            yield from self._allowed(cart, record, revs[-1])

    def _comes_late(self, cart: str, after: Record, rev: int) -> tuple[Record, ...]:
        """How the same socket was told a rev as a push after all, if it was."""
        for sighting in self._evidence.carts[cart].sightings.get(rev, ()):
            for told in sighting.records[-1:]:
                is_push = (told.message or {})["type"] == "cart.ops"
                if is_push and told.conn == after.conn and after.seq <= told.seq:
                    return sighting.records
        return ()

    def _allowed(self, cart: str, record: Record, rev: int) -> Iterator[Violation]:
        """Who is taken out by the last op of a push still sees it, but nothing later."""
        members = self._members[cart]
        if rev not in members or rev - 1 not in members:
            return
        if record.user not in members[rev] | members[rev - 1]:
            text = f"{record.user} was shown rev {rev}, and was no member by then"
            yield Violation(OUTSIDER, cart, text, proof(record))


def sessions(
    evidence: Evidence,
    members: Mapping[str, Mapping[int, frozenset[str]]],
    *,
    one_server: bool,
) -> Iterator[Violation]:
    """What is wrong with what the sockets saw."""
    for record in evidence.unasked:
        message = record.message or {}
        if message["type"] != "error":
            text = "an answer to nothing, or a second one"
            yield Violation(UNASKED, message.get("cart", ""), text, proof(record))
    followed: dict[str, Session] = {}
    for record in evidence.records:
        if record.conn not in followed:
            followed[record.conn] = Session(evidence, members, one_server=one_server)
        yield from followed[record.conn].follow(record)
    for session in followed.values():
        yield from session.end()


def unjustified_refusals(
    evidence: Evidence, timeline: Timeline, members: Mapping[int, frozenset[str]]
) -> Iterator[Violation]:
    """Joins and histories that a member was refused as `not_found` while being one."""
    cart = timeline.cart
    for record in evidence.records:
        message = record.message or {}
        if record.what != SENT or message.get("cart") != cart.cart:
            continue
        reply = evidence.reply_of.get(record.seq)
        answer = (reply.message or {}) if reply else {}
        if message["type"] not in ("cart.join", "cart.history"):
            continue
        if reply is None or answer.get("code") != "not_found":
            continue
        low, where = cart.seen_before(record.seq)
        high = timeline.last_by(reply.seq)
        revs = range(low, max(low, high) + 1)
        if low and all(record.user in members.get(rev, ()) for rev in revs):
            text = f"{record.user} was a member from rev {low} to {high}, and told not_found"
            yield Violation(OUTSIDER, cart.cart, text, proof(where, record, reply))
