"""Who listens to a room, and how committed ops reach them: each rev once, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from realtime import wire
from realtime.limits import PUSH_BACKLOG_MAX_BYTES
from realtime.pending import Decision, OpRequest, Peer
from realtime.reducer import MEMBERSHIP_KINDS, Entry
from realtime.state import CartState
from realtime.wire import Event


@dataclass(slots=True, eq=False)
class Subscription:
    """A peer's place in a room. One that is `behind` gets no pushes until it gets a state."""

    peer: Peer
    behind: bool = False


@dataclass(slots=True)
class AccessChanges:
    """What a commit's events do to who may listen."""

    ended: dict[str, tuple[int, str]]
    """By user: how many of the events they still see, and the reason for `cart.gone`."""
    refreshed: set[str]
    """Users who get a state after the events."""


NO_CHANGES: Final = AccessChanges({}, set())
"""That of a commit without ops about membership, which most are."""


class Audience:
    """The subscriptions of one room.

    `state_frame(user, client)` renders a `cart.state`; `on_ended` hears of each subscription's
    end, whoever ended it.
    """

    def __init__(
        self,
        cart: str,
        state_frame: Callable[[str, str], bytes],
        on_ended: Callable[[Subscription], None],
    ) -> None:
        self.cart = cart
        self._state_frame = state_frame
        self._on_ended = on_ended
        self.subscriptions: dict[Peer, Subscription] = {}

    def push(self, subscription: Subscription, frame: bytes) -> None:
        """Send a push, unless the peer doesn't keep up; then it is marked to get a state later."""
        if subscription.behind:
            return
        if subscription.peer.backlog() > PUSH_BACKLOG_MAX_BYTES:
            subscription.behind = True
            subscription.peer.fell_behind(self.cart)
            return
        subscription.peer.send(frame)

    def refresh(self, subscription: Subscription) -> None:
        """Push a fresh state."""
        peer = subscription.peer
        self.push(subscription, self._state_frame(peer.user, peer.client))

    def refresh_all(self) -> None:
        for subscription in self.subscriptions.values():
            self.refresh(subscription)

    def push_all(self, frame: bytes) -> None:
        for subscription in self.subscriptions.values():
            self.push(subscription, frame)

    def deliver(
        self,
        entries: list[Entry],
        events: list[Event],
        decisions: list[Decision],
        before: CartState,
        after: CartState,
    ) -> None:
        """Answer the decisions and push the events, those of a commit's entries, to the others.

        A peer's own ops come to it as their `ok`, the others between them as pushes.
        """
        changes = access_changes(entries, before, after)
        delivery = _Delivery(self, events, changes)
        try:
            delivery.answer(decisions)
            delivery.push_the_rest()
        finally:
            for peer in delivery.cursors:
                peer.release()

    def add(self, peer: Peer) -> Subscription:
        """Subscribe `peer`, or find its subscription."""
        return self.subscriptions.setdefault(peer, Subscription(peer))

    def remove(self, peer: Peer) -> bool:
        """End a subscription at the peer's wish. False when there is none."""
        subscription = self.subscriptions.pop(peer, None)
        if subscription is None:
            return False
        self._on_ended(subscription)
        return True

    def end(self, peer: Peer, reason: str) -> None:
        """End a subscription with `cart.gone`, which is never skipped."""
        if self.remove(peer):
            peer.send(wire.push("cart.gone", cart=self.cart, reason=reason))
            peer.gone(self.cart)

    def caught_up(self, peer: Peer) -> None:
        """The peer has read what it was sent: it gets a state, and then pushes again."""
        subscription = self.subscriptions.get(peer)
        if subscription is not None and subscription.behind:
            subscription.behind = False
            peer.send(self._state_frame(peer.user, peer.client))

    def end_all(self, reason: str) -> None:
        for peer in list(self.subscriptions):
            self.end(peer, reason)


class _Delivery:
    """One commit's way to those who listen.

    `cursors` tells of each peer with ops of its own in the commit how many of the events it has
    seen. What these are sent is held back until the end: answers and pushes together take one
    write, and writes are what costs most.
    """

    def __init__(self, audience: Audience, events: list[Event], changes: AccessChanges) -> None:
        self.cursors: dict[Peer, int] = {}
        self._audience = audience
        self._events = events
        self._changes = changes
        # An answer may bring a new subscription, whose reply holds these events already.
        self._listening = audience.subscriptions.copy()
        self._frames: dict[tuple[int, int], bytes] = {}

    def answer(self, decisions: list[Decision]) -> None:
        """Answer in order; for joined peers push what lies before each of their own ops."""
        index = 0
        for decision in decisions:
            if decision.entry is None:
                if decision.error is not None:
                    decision.answer(decision.error)
                continue
            event = self._events[index]
            index += 1
            if decision.error is not None:
                decision.answer(decision.error)  # which has no rev: that comes as a push
                continue
            self._push_before_answer(decision.request, index)
            for resend in decision.resends:
                self._push_before_answer(resend, index)
            decision.answer(event)

    def _push_before_answer(self, request: OpRequest, index: int) -> None:
        """Push what the request's peer has not seen of the events before its own, the `index`th."""
        peer = request.peer
        if peer is None or peer not in self._listening or request.answered:
            return  # an op given up in the meantime comes as a push
        if peer not in self.cursors:
            peer.hold()
            self.cursors[peer] = 0
        end = index if request.late else index - 1
        if self._changes is not NO_CHANGES:
            ended = self._changes.ended.get(peer.user)
            end = end if ended is None else min(end, ended[0])
        self._push(peer, end)
        # Also for an op sent again before its commit, from another socket: its `ok` is how that
        # socket gets the rev.
        self.cursors[peer] = index

    def push_the_rest(self) -> None:
        """Push to each what it has not seen of the events, and what changed for it."""
        count = len(self._events)
        if self._changes is NO_CHANGES:
            for peer in self._listening:
                self._push(peer, count)
            return
        for peer, subscription in self._listening.items():
            ended = self._changes.ended.get(peer.user)
            self._push(peer, count if ended is None else ended[0])
            if ended is not None:
                self._audience.end(peer, ended[1])
            elif peer.user in self._changes.refreshed:
                self._audience.refresh(subscription)

    def _push(self, peer: Peer, end: int) -> None:
        """Push the events from the peer's cursor to before `end`."""
        start = self.cursors.get(peer, 0)
        if start < end:
            self._audience.push(self._listening[peer], self._frame(start, end))

    def _frame(self, start: int, end: int) -> bytes:
        """The `cart.ops` of a run of the events, encoded once."""
        frame = self._frames.get((start, end))
        if frame is None:
            frame = wire.ops_push(self._audience.cart, self._events[start:end])
            self._frames[(start, end)] = frame
        return frame


def access_changes(entries: list[Entry], before: CartState, after: CartState) -> AccessChanges:
    """Who loses access within a commit's entries, and whose role changed."""
    if not any(entry.op["kind"] in MEMBERSHIP_KINDS for entry in entries):
        return NO_CHANGES
    changes = AccessChanges({}, set())
    for index, entry in enumerate(entries):
        effect = entry.op
        match effect["kind"]:
            case "share":
                changes.refreshed.update(grant["user"] for grant in effect["users"])
            case "unshare":
                own = entry.by == effect["user"]
                changes.ended[effect["user"]] = (index + 1, "left" if own else "removed")
            case "delete":
                for user in before.members.keys() | changes.refreshed:
                    changes.ended.setdefault(user, (index + 1, "deleted"))
            case "merge":
                changes.refreshed.add(effect["into"])
                changes.ended[effect["user"]] = (index + 1, "merged")
            case "depart":
                changes.refreshed.update({effect["successor"]} if "successor" in effect else ())
                changes.ended[effect["user"]] = (index + 1, "left")
    for user in list(changes.ended):
        if user in after.members:
            # Removed and let in again within one commit: a fresh state says it all.
            del changes.ended[user]
            changes.refreshed.add(user)
    return changes
