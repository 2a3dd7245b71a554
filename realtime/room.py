"""A room: a cart held open in memory by one instance, the only writer of that memory.

Requests are judged in the order of their arrival, on a head state that runs ahead of the committed
one; what was judged goes into the next commit, and one commit is in flight at a time. Nobody is
told anything, not even a refusal, before the state that it was judged on is committed. The log's
unique `_id`, not the room, decides: after a lost race the room reads what the others committed
and judges its requests anew.

Everything here runs on the event loop. Methods without `async` are atomic; the few waits are in
`recovery`, during which the room is stalled and requests gather in its inbox.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from realtime import wire
from realtime.audience import Audience
from realtime.entries import encode_commit, encode_entry
from realtime.errors import CartroomError
from realtime.judge import Context, judge, no_such_cart, skus_touched
from realtime.limits import (
    COMMIT_BYTES_MAX,
    COMMIT_OPS_MAX,
    CONTENTION_S,
    RACE_RETRIES_MAX,
    ROOM_INBOX_MAX,
)
from realtime.ops import Share
from realtime.pending import Decision, Flight, Need, NeedsFacts, NeedsLog, OpRequest, Peer
from realtime.presence import Presence
from realtime.recent import RecentOps
from realtime.recovery import Recovery
from realtime.reducer import Entry, apply
from realtime.resends import check_same, other_content, used_number
from realtime.state import CartState
from realtime.wire import Event
from storage.memberships import Membership
from storage.oplog import Outcome

if TYPE_CHECKING:
    from realtime.services import Services


class Room:
    """One open cart. `state` is what was loaded; see `loading.load`."""

    def __init__(self, services: Services, state: CartState, names: dict[str, str]) -> None:
        self.services = services
        self.cart = state.cart
        self.committed = state
        self.names = names
        self.recent = RecentOps()
        self.audience = Audience(self.cart, self.state_frame, self._on_ended)
        self.presence = Presence(services, self.cart, self.audience)
        self.recovery = Recovery(self)
        self.flight: Flight | None = None
        self.broken: CartroomError | None = None
        self.registered = False
        """Whether other instances know that we hold the cart."""
        self.checked_epoch = -1
        """The hub's count of possible gaps at the time of our last comparison with the store."""
        self.snapshot_rev = 0
        """The rev of the stored snapshot, as far as we know."""
        self.last_commit_s = float("-inf")
        self.commit_time_s = 0.005
        """How long commits take, smoothed."""
        self._head = state
        self._head_shared = True
        self._queue: list[Decision] = []
        self._inbox: deque[OpRequest] = deque()
        self._pending: dict[tuple[str, str], Decision] = {}
        self._marked = False
        self._contended_until_s = float("-inf")
        self._waiting_for_turn = False
        self._watching = False

    # Requests

    @property
    def load(self) -> int:
        """Requests that have no answer yet."""
        in_flight = len(self.flight.decisions) if self.flight else 0
        return len(self._inbox) + len(self._queue) + in_flight

    def submit(self, request: OpRequest) -> Need | None:
        """Take a request. It is answered in time, unless what it needs is returned.

        Then the caller looks that up (`recovery.satisfy`) and submits it again.
        """
        if self.broken is not None:
            request.answer(self.broken)
            return None
        if self.load >= ROOM_INBOX_MAX:
            request.answer(CartroomError("unavailable", "This cart is very busy; try again."))
            return None
        if self.recovery.stalled:
            self._inbox.append(request)
            self._watch()
            return None
        need = self.consider(request)
        self.advance()
        return need

    def next_waiting(self) -> OpRequest | None:
        """Take the request that has waited longest for the end of a stall."""
        return self._inbox.popleft() if self._inbox else None

    def consider(self, request: OpRequest) -> Need | None:
        """Answer a resend, or judge the request and queue the decision."""
        try:
            known = self._find_resend(request)
        except CartroomError as error:
            self._decide(Decision(request, None, b"", error))
            return None
        if isinstance(known, NeedsLog):
            return known
        if isinstance(known, Event):
            request.answer(known)
        elif isinstance(known, Decision):
            known.resends.append(request)
        else:
            need = self._missing(request)
            if need is not None:
                return need
            self._decide(self._judge(request))
        return None

    def _find_resend(self, request: OpRequest) -> Event | Decision | NeedsLog | None:
        """What is known of an op that may have been sent before; None for a new one.

        Raises `conflict` for an op_id that can have no effect any more.
        """
        op_id = request.op_id
        if op_id is None:
            return None
        state = self.committed
        last, rev = state.last_n(request.user, request.client)
        evicted = state.evicted.get(request.user, 0) if last == 0 else 0
        if request.n <= last or evicted:
            event = self.recent.find(request.user, op_id)
            if event is not None:
                return check_same(event, request)
            if last and self.recent.first_rev == 1:
                raise used_number()
            if last or not request.log_searched:
                return NeedsLog(rev or evicted)
        pending = self._pending.get((request.user, op_id))
        if pending is not None:
            if pending.request.hash != request.hash:
                raise other_content()
            return pending
        if request.n <= self._head.last_n(request.user, request.client)[0]:
            raise used_number()
        return None

    def _missing(self, request: OpRequest) -> Need | None:
        """What must be looked up before this request can be judged."""
        skus = skus_touched(self._head, request.op) - request.facts.keys()
        if skus:
            facts = self.services.catalog.cached(skus)
            if facts is not None:
                request.facts.update({sku: facts.get(sku) for sku in skus})
                skus = set()
        users: frozenset[str] = frozenset()
        if isinstance(request.op, Share) and not request.users_known:
            users = frozenset(grant.user for grant in request.op.users)
        return NeedsFacts(frozenset(skus), users) if skus or users else None

    def _judge(self, request: OpRequest) -> Decision:
        head = self._head
        context = Context(
            request.user, request.facts, frozenset(request.users), self.services.limits
        )
        try:
            judgement = judge(head, request.op, context)
            entry = Entry(
                rev=head.rev + 1,
                op_id=request.op_id,
                by=request.user,
                at=max(self.services.clock.wall_ms(), head.at),
                op=judgement.effect,
                hash=request.hash,
                results=judgement.results,
            )
            raw = encode_entry(entry)
        except CartroomError as error:
            return Decision(request, None, b"", error)
        return Decision(request, entry, raw)

    def _decide(self, decision: Decision) -> None:
        if decision.entry is None:
            if self.flight is None and not self._queue and decision.error is not None:
                # Judged on committed state: it can be told at once.
                decision.answer(decision.error)
                return
        else:
            if self._head_shared:
                self._head = self._head.copy()
                self._head_shared = False
            apply(self._head, decision.entry)
            if decision.request.op_id is not None:
                self._pending[(decision.request.user, decision.request.op_id)] = decision
        self._queue.append(decision)

    # Commits

    def advance(self) -> None:
        """Start the next commit, if there is something to commit and nothing in the way."""
        if self.flight is not None or self.recovery.stalled or not self._queue:
            return
        clock = self.services.clock
        if clock.monotonic() < self._contended_until_s:
            if not self._waiting_for_turn:
                self._waiting_for_turn = True
                delay_s = self.commit_time_s * (1 + 2 * clock.random())
                clock.call_later(delay_s, self._take_turn)
            return
        self._start_commit()

    def _take_turn(self) -> None:
        self._waiting_for_turn = False
        if self.flight is None and not self.recovery.stalled and self._queue:
            self._start_commit()

    def _start_commit(self) -> None:
        self._watch()
        if not self._marked:
            self.recovery.request(mark=True)
            return
        taken = self._take()
        entries = [decision.entry for decision in taken if decision.entry is not None]
        if not entries:
            for decision in taken:
                assert decision.error is not None  # noqa: S101 - it is one or the other
                decision.answer(decision.error)
            self.advance()
            return
        raws = [decision.raw for decision in taken if decision.entry is not None]
        services = self.services
        commit = encode_commit(self.cart, entries, raws, services.clock.token())
        state = self._state_after(entries)
        flight = Flight(taken, state, commit, services.clock.monotonic())
        self.flight = flight
        services.committer.submit(commit, lambda outcome: self._on_outcome(flight, outcome))

    def _take(self) -> list[Decision]:
        """Take from the queue what goes into one commit."""
        count = size = index = 0
        for decision in self._queue:
            if decision.entry is not None:
                if count == COMMIT_OPS_MAX or (
                    count and size + len(decision.raw) > COMMIT_BYTES_MAX
                ):
                    break
                count += 1
                size += len(decision.raw)
            index += 1
        taken, self._queue = self._queue[:index], self._queue[index:]
        return taken

    def _state_after(self, entries: list[Entry]) -> CartState:
        if self._head.rev == entries[-1].rev:
            self._head_shared = True
            return self._head
        state = self.committed.copy()
        for entry in entries:
            apply(state, entry)
        return state

    def marked(self) -> None:
        """The cart is known to be active: its commits can't be overlooked."""
        self._marked = True

    def _on_outcome(self, flight: Flight, outcome: Outcome) -> None:
        if self.flight is not flight:
            return  # the room was closed meanwhile
        services = self.services
        now_s = services.clock.monotonic()
        self.commit_time_s += ((now_s - flight.started_s) - self.commit_time_s) * 0.2
        self.last_commit_s = now_s
        if outcome is Outcome.LOST:
            services.metrics.races_lost.inc()
            self.contend()
            for decision in flight.decisions:
                for request in decision.requests():
                    request.races += 1
            self.take_back()
            self.recovery.request(catch_up=True)
            return
        services.metrics.commit_seconds.observe(now_s - flight.started_s)
        changed = self.memberships_changed(flight.entries(), flight.state, self.committed.members)
        if changed:
            self.recovery.write_memberships(changed, lambda: self.settle(flight))
        else:
            self.settle(flight)

    def memberships_changed(
        self, entries: Iterable[Entry], after: CartState, members: Iterable[str]
    ) -> list[Membership]:
        """The membership documents that these entries make out of date.

        `members` are those before the entries.
        """
        revs: dict[str, int] = {}
        for entry in entries:
            effect = entry.op
            match effect["kind"]:
                case "create":
                    revs[entry.by] = entry.rev
                case "share":
                    revs.update((grant["user"], entry.rev) for grant in effect["users"])
                case "unshare":
                    revs[effect["user"]] = entry.rev
                case "delete":
                    revs = dict.fromkeys([*members, *revs], entry.rev)
        return [Membership(user, self.cart, after.role(user), rev) for user, rev in revs.items()]

    def settle(self, flight: Flight) -> None:
        """The commit in flight is durable, memberships and all: answer, tell everybody, go on."""
        if self.flight is not flight:
            return
        self.flight = None
        for decision in flight.decisions:
            request = decision.request
            self.names.update(request.users)
            if request.op_id is not None:
                self._pending.pop((request.user, request.op_id), None)
        self._publish(flight)
        self.recovery.after_commit()
        self.advance()

    def _publish(self, flight: Flight) -> None:
        services = self.services
        events = [wire.make_event(entry, self.names) for entry in flight.entries()]
        before, self.committed = self.committed, flight.state
        self.recent.extend(events)
        self.audience.deliver(events, flight.decisions, before, flight.state)
        services.bus.publish(self.cart, flight.commit.raw)
        services.metrics.ops_committed.inc(len(events))
        services.snapshots.schedule(self)

    # What other instances committed

    def on_foreign(self, entries: list[Entry]) -> None:
        """Apply a commit of another instance, which must follow the committed rev.

        Nothing may be in flight or queued: see `take_back`.
        """
        if self.services.clock.monotonic() - self.last_commit_s < CONTENTION_S:
            self.contend()
        before = self.committed
        after = before.copy()
        for entry in entries:
            apply(after, entry)
        self.committed = self._head = after
        self._head_shared = True
        events = [wire.make_event(entry, self.names) for entry in entries]
        self.recent.extend(events)
        self.audience.deliver(events, [], before, after)
        self.services.snapshots.schedule(self)

    @property
    def undecided(self) -> bool:
        """True when a commit is in flight or something judged waits for one."""
        return self.flight is not None or bool(self._queue)

    def contend(self) -> None:
        """Others write this cart, too: for a while, give them a turn before each commit."""
        self._contended_until_s = self.services.clock.monotonic() + CONTENTION_S

    def take_back(self) -> None:
        """Undo all judging: what has no answer yet goes back to the inbox, in order."""
        decisions = [*(self.flight.decisions if self.flight else ()), *self._queue]
        self.flight = None
        self._forget_queue(self.committed)
        self._pending.clear()
        requests = [request for decision in decisions for request in decision.requests()]
        busy = CartroomError("unavailable", "Too many change this cart at once; try again.")
        for request in requests:
            if request.races > RACE_RETRIES_MAX:
                request.answer(busy)
        self._inbox.extendleft(request for request in reversed(requests) if not request.answered)

    def _forget_queue(self, head: CartState) -> None:
        for decision in self._queue:
            if decision.request.op_id is not None:
                self._pending.pop((decision.request.user, decision.request.op_id), None)
        self._queue = []
        self._head = head
        self._head_shared = True

    # Time limits

    def _watch(self) -> None:
        """See to it that no request waits longer than its time."""
        if not self._watching:
            self._watching = True
            self.services.clock.call_later(self.services.timing.commit_timeout_s / 4, self._expire)

    def _expire(self) -> None:
        self._watching = False
        if self.broken is not None or not self.load:
            return
        now_s = self.services.clock.monotonic()
        unknown = CartroomError("unavailable", "The store does not answer; try again.")
        for decision in self.flight.decisions if self.flight else ():
            # What was sent to the store stays under way, and may take effect yet.
            for request in decision.requests():
                if request.deadline <= now_s:
                    request.answer(unknown)
        self._drop_expired(now_s, unknown)
        self._watch()

    def _drop_expired(self, now_s: float, answer: CartroomError) -> None:
        """Give up requests that were not sent to the store: they have had no effect."""
        self._inbox = deque(_still_waiting(self._inbox, now_s, answer))
        queued = [request for decision in self._queue for request in decision.requests()]
        if any(request.deadline <= now_s for request in queued):
            # What was judged after a request that goes was judged on its effect.
            self._forget_queue(self.flight.state if self.flight else self.committed)
            self._inbox.extendleft(reversed(_still_waiting(queued, now_s, answer)))
            self.recovery.request()

    # Reading

    def check_reader(self, user: str) -> str:
        """The user's role. Raises `not_found` for who is no member."""
        if self.broken is not None:
            raise self.broken
        role = self.committed.role(user)
        if role is None:
            raise no_such_cart()
        return role

    def position(self, user: str, client: str) -> dict[str, object]:
        """The fields of a join's reply beside state or ops."""
        state = self.committed
        return {
            "cart": self.cart,
            "rev": state.rev,
            "role": state.role(user),
            "n": state.last_n(user, client)[0],
        }

    def rendered_state(self) -> dict[str, object]:
        return wire.render_state(self.committed, self.names)

    def state_frame(self, user: str, client: str) -> bytes:
        return wire.push("cart.state", **self.position(user, client), state=self.rendered_state())

    def _on_ended(self, peer: Peer) -> None:
        self.presence.leave(peer)

    def close(self, reason: CartroomError) -> None:
        """Answer everybody with `reason` and take nothing more. For a room that can't go on."""
        self.broken = reason
        self.take_back()
        for request in self._inbox:
            request.answer(reason)
        self._inbox.clear()
        self.audience.end_all(reason.code)


def _still_waiting(
    requests: Iterable[OpRequest], now_s: float, answer: CartroomError
) -> list[OpRequest]:
    waiting: list[OpRequest] = []
    for request in requests:
        if request.deadline <= now_s:
            request.answer(answer)
        elif not request.answered:
            waiting.append(request)
    return waiting
