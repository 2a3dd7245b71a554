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

import logging
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from realtime import naming, wire
from realtime.audience import Audience, Subscription
from realtime.deciding import decide, missing, next_commit, refuse
from realtime.derived import memberships_changed
from realtime.entries import encode_commit
from realtime.errors import CartroomError, our_fault, store_silent
from realtime.judge import no_such_cart
from realtime.limits import RACE_RETRIES_MAX, ROOM_INBOX_MAX
from realtime.pending import Decision, Flight, Need, NeedsLog, OpRequest, still_waiting
from realtime.presence import Presence
from realtime.recent import RecentOps
from realtime.recovery import Recovery
from realtime.reducer import Entry, apply
from realtime.refusing import signed_out, turn_away_queued
from realtime.resends import Resends
from realtime.state import CartState
from realtime.turns import Turns
from realtime.wire import Event
from storage.oplog import Commit, Outcome

if TYPE_CHECKING:
    from realtime.services import Services

log = logging.getLogger(__name__)


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
        self.turns = Turns(services.clock, self.advance)
        self._head = state
        self._head_shared = True
        self._queue: list[Decision] = []
        self._inbox: deque[OpRequest] = deque()
        self._resends = Resends(self.recent)
        self._marked_until_s = float("-inf")
        self._enlisted = False
        """The next batch will ask for our commit."""
        self._confirming = False
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
        if request.since_rev < 0:
            request.since_rev = self.committed.rev
        request.on_refused = self._resends.refusals.note
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
        need = self._consider_safely(request)
        self.advance()
        return need

    @property
    def has_waiting(self) -> bool:
        """Whether requests wait for the end of a stall."""
        return bool(self._inbox)

    def consider_waiting(self) -> tuple[OpRequest, Need] | None:
        """Decide on the request that has waited longest, unless what it needs is returned.

        Then it keeps its place: those behind it, and those that a lost race gives back before
        it, must not change places with it while that is looked up.
        """
        request = self._inbox.popleft()
        if request.peer is not None and request.peer.closed:
            # Who sent it sends it again elsewhere, and may be refused there for good meanwhile:
            # after that it must not take effect on a state that has changed.
            request.answer(CartroomError("unavailable", "The connection has ended."))
        need = None if request.answered else self._consider_safely(request)
        if need is None:
            return None
        self._inbox.appendleft(request)
        return request, need

    def _consider_safely(self, request: OpRequest) -> Need | None:
        try:
            return self._consider(request)
        except Exception:
            log.exception("An op failed", extra={"cart": self.cart, "op": request.op_id})
            request.answer(our_fault())
            self._rejudge()
            return None

    def _consider(self, request: OpRequest) -> Need | None:
        """Answer a resend, or judge the request and queue the decision."""
        if request.is_revoked:
            self._turn_away(request)
            return None
        try:
            known = self._resends.find(request, self.committed, self._head)
        except CartroomError as error:
            self._decide(refuse(self.services, self._head, request, error))
            return None
        if isinstance(known, NeedsLog):
            return known
        if isinstance(known, Event | CartroomError):
            request.answer(known)
        elif isinstance(known, Decision) and known.error and not known.entry and request.roaming:
            # Its fate is known, but must be on record for this copy.
            self._decide(refuse(self.services, self._head, request, known.error))
        elif isinstance(known, Decision):
            # For good: judging anew puts resends next to what they resend, ahead of the others.
            request.late = request.late or self._peer_waits_behind(known, request)
            known.resends.append(request)
        else:
            need = missing(self.services, self._head, request)
            if need is not None:
                return need
            if self._let_in_meanwhile(request):
                request.answer(
                    CartroomError("unavailable", "You have just been let in; try again.")
                )
                return None
            self._decide(decide(self.services, self._head, request))
        return None

    def refuse_ended(self) -> None:
        """Refuse what isn't in a commit yet of those whose session has ended."""
        for request in [one for one in self._inbox if one.is_revoked]:
            self._turn_away(request)
        self._inbox = deque(one for one in self._inbox if not one.answered)
        if turn_away_queued(self._queue):
            self._rejudge()

    def _turn_away(self, request: OpRequest) -> None:
        try:
            is_new = self._resends.find(request, self.committed, self._head) is None
        except CartroomError:
            is_new = False
        request.answer(signed_out(request, is_new=is_new))

    def _let_in_meanwhile(self, request: OpRequest) -> bool:
        """Whether the user was let in after the op came, or by what isn't committed yet.

        Elsewhere it may have been refused for good before that, and of who is no member that
        isn't on record. So it takes effect only if somebody is still there to send it again.
        """
        member = self._head.members.get(request.user)
        if member is None or member.since <= request.since_rev:
            return False
        return member.role != "owner" and self.services.bus.shared

    def _peer_waits_behind(self, decision: Decision, request: OpRequest) -> bool:
        """Whether the request's peer has asked for something that comes after `decision`."""
        in_flight = self.flight.decisions if self.flight else []
        decisions = [*in_flight, *self._queue]
        behind = decisions[decisions.index(decision) + 1 :]
        return any(other.peer is request.peer for one in behind for other in one.requests())

    def _decide(self, decision: Decision) -> None:
        if decision.entry is None:
            if decision.error and decision.is_sure_refusal and not self.undecided:
                decision.answer(decision.error)
                return
        else:
            if self._head_shared:
                self._head = self._head.copy()
                self._head_shared = False
            apply(self._head, decision.entry)
        self._resends.untold.add(decision)
        self._queue.append(decision)

    # Commits

    def advance(self) -> None:
        """Start the next commit, if there is something to commit and nothing in the way."""
        if self.flight is not None or self._enlisted or self.recovery.stalled or not self._queue:
            return
        if self.turns.has_come():
            self._start_commit()

    def _start_commit(self) -> None:
        self._watch()
        if self._only_refusals():
            self._confirm_refusals()
            return
        if self.services.clock.monotonic() >= self._marked_until_s:
            self.recovery.request(mark=True)
            return
        self._enlisted = True
        self.services.committer.submit(self._depart, self._on_outcome)

    def _only_refusals(self) -> bool:
        return all(decision.entry is None for decision in self._queue)

    def _depart(self) -> Commit | None:
        """A batch leaves: the commit of what was judged by now, unless there is none to make."""
        self._enlisted = False
        if self.recovery.stalled or not self._queue:
            return None
        if self._only_refusals():
            self._confirm_refusals()
            return None
        self.turns.use()
        count = next_commit(self._queue)
        taken, self._queue = self._queue[:count], self._queue[count:]
        try:
            self.flight = self._pack(taken)
        except Exception:
            # Later commits would build on what this one can't make true.
            log.exception("A room can't commit", extra={"cart": self.cart})
            self._queue = taken + self._queue
            self.close(CartroomError("unavailable", "This cart can't be served; try again."))
            return None
        return self.flight.commit

    def _pack(self, taken: list[Decision]) -> Flight:
        entries = [decision.entry for decision in taken if decision.entry is not None]
        raws = [decision.raw for decision in taken if decision.entry is not None]
        clock = self.services.clock
        commit = encode_commit(self.cart, entries, raws, clock.token())
        return Flight(taken, entries, self._state_after(entries), commit, clock.monotonic())

    def _confirm_refusals(self) -> None:
        """Nothing but refusals waits: have the store say that they were judged on its latest.

        An instance that has not heard of another's commits yet would otherwise refuse for good
        what took effect there, or what somebody was just allowed there. Refusals that go along
        with a commit need no such question: the commit answers it.
        """
        if not self._confirming:
            self._confirming = True
            asked, rev = set(self._queue), self.committed.rev
            self.recovery.look_beyond(rev, lambda beyond: self._confirmed(asked, rev, beyond))

    def _confirmed(self, asked: set[Decision], rev: int, beyond: bool) -> None:
        self._confirming = False
        if beyond:
            self.recovery.check_above(rev)
        elif self.committed.rev == rev and self.flight is None:
            told = [decision for decision in self._queue if decision in asked]
            self._queue = self._queue[len(told) :]  # they were all there was
            for decision in told:
                assert decision.error is not None  # noqa: S101 - they were all refusals
                self._resends.untold.forget(decision)
                decision.answer(decision.error)
        self.advance()

    def _state_after(self, entries: list[Entry]) -> CartState:
        if self._head.rev == entries[-1].rev:
            self._head_shared = True
            return self._head
        state = self.committed.copy()
        for entry in entries:
            apply(state, entry)
        return state

    def marked(self, asked_s: float) -> None:
        """The cart was marked, not before `asked_s`: for a while its commits aren't overlooked."""
        self._marked_until_s = asked_s + self.services.timing.mark_renew_s

    def _on_outcome(self, commit: Commit, outcome: Outcome) -> None:
        flight = self.flight
        if flight is None or flight.commit is not commit:
            return  # the room was closed meanwhile
        services = self.services
        took_s = self.turns.commit_ended(flight.started_s)
        if outcome is Outcome.LOST:
            self._lose()
            self.recovery.request(catch_up=True)
            return
        services.metrics.commit_seconds.observe(took_s)
        changed = memberships_changed(flight.entries, flight.state, self.committed.members)
        if changed:
            self.recovery.write_memberships(changed, lambda: self._settle_members(flight))
        else:
            self.settle(flight)

    def _lose(self) -> None:
        """Another instance has committed in our stead: take back what we have."""
        services = self.services
        if self.flight is not None:
            services.metrics.races_lost.inc()
            for decision in self.flight.decisions:
                for request in decision.requests():
                    request.races += 1
        if services.bus.fresh:
            # Who won doesn't know: it would go on without a pause, and win for ever.
            services.bus.signal(self.cart, {"contended": True})
            self.turns.contend()
        else:
            self.turns.keep()  # nobody hears us, so nobody would wait for us
        self.take_back()

    def settle(self, flight: Flight) -> None:
        """The commit in flight is durable, memberships and all: answer, tell everybody, go on."""
        if self.flight is not flight:
            return
        self.flight = None
        for decision in flight.decisions:
            if decision.request.users:
                self.learn_names(decision.request.users)
            self._resends.untold.forget(decision)
        self._publish(flight)
        self.recovery.after_commit()
        self.advance()

    def _settle_members(self, flight: Flight) -> None:
        if self.flight is flight:
            self.settle(flight)
            self.services.on_memberships(flight.entries, flight.state)

    def _publish(self, flight: Flight) -> None:
        services = self.services
        entries = flight.entries
        events = naming.events_of(self, entries)
        before, self.committed = self.committed, flight.state
        self.recent.extend(events)
        self.audience.deliver(entries, events, flight.decisions, before, flight.state)
        services.bus.publish(self.cart, flight.commit.raw)
        services.metrics.ops_committed.count += len(events)
        services.snapshots.schedule(self)

    # What other instances committed

    def on_foreign(self, entries: list[Entry]) -> None:
        """Apply a commit of another instance, which must follow the committed rev.

        It holds the `_id` that ours, if one is under way, would have: so that is lost.
        """
        if self.undecided:
            self._lose()
        self.turns.others_committed()
        before = self.committed
        after = before.copy()
        for entry in entries:
            apply(after, entry)
        self.committed = self._head = after
        self._head_shared = True
        events = naming.events_of(self, entries)
        self.recent.extend(events)
        self.audience.deliver(entries, events, [], before, after)
        self.services.snapshots.schedule(self)

    def learn_names(self, names: Mapping[str, str]) -> None:
        """What users are called, as it was looked up some time ago."""
        services = self.services
        self.names.update(services.new_names.over(names, services.clock.monotonic()))

    @property
    def undecided(self) -> bool:
        """True when a commit is in flight or something judged waits for one."""
        return self.flight is not None or bool(self._queue)

    def take_back(self) -> None:
        """Undo all judging: what has no answer yet goes back to the inbox, in order."""
        decisions = [*(self.flight.decisions if self.flight else ()), *self._queue]
        self.flight = None
        for decision in decisions:
            self._resends.untold.forget(decision)
        self._forget_queue(self.committed)
        requests = [request for decision in decisions for request in decision.requests()]
        busy = CartroomError("unavailable", "Too many change this cart at once; try again.")
        for request in requests:
            if request.races > RACE_RETRIES_MAX:
                request.answer(busy)
        self._inbox.extendleft(request for request in reversed(requests) if not request.answered)

    def _forget_queue(self, head: CartState) -> None:
        for decision in self._queue:
            self._resends.untold.forget(decision)
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
        unknown = store_silent()
        for decision in self.flight.decisions if self.flight else ():
            # What was sent to the store stays under way, and may take effect yet.
            for request in decision.requests():
                if request.deadline <= now_s:
                    request.answer(unknown)
        self._drop_expired(now_s, unknown)
        self._watch()

    def _drop_expired(self, now_s: float, answer: CartroomError) -> None:
        """Give up requests that were not sent to the store: they have had no effect."""
        self._inbox = deque(still_waiting(self._inbox, now_s, answer))
        queued = [request for decision in self._queue for request in decision.requests()]
        if any(request.deadline <= now_s for request in queued):
            # What was judged after a request that goes was judged on its effect.
            still_waiting(queued, now_s, answer)
            self._rejudge()

    def _rejudge(self) -> None:
        """Judge what is queued anew."""
        queued = [request for decision in self._queue for request in decision.requests()]
        self._forget_queue(self.flight.state if self.flight else self.committed)
        self._inbox.extendleft(request for request in reversed(queued) if not request.answered)
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

    def _on_ended(self, subscription: Subscription) -> None:
        self.presence.leave(subscription.peer)
        if not subscription.behind:
            self.services.on_left(self, subscription.peer)

    def close(self, reason: CartroomError) -> None:
        """Answer everybody with `reason` and take nothing more. For a room that can't go on."""
        self.broken = reason
        self.take_back()
        for request in self._inbox:
            request.answer(reason)
        self._inbox.clear()
        self.audience.end_all(reason.code)
