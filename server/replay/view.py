"""One client's view of one cart: which revs it was told, and whether each once and in order."""

from __future__ import annotations

from collections.abc import Callable

from server.replay.frames import Frame


class View:
    """Follows what a client is told of a cart. `report(text)` hears of breaches of the contract.

    Kept while the client is away, so that it can resume from `rev`.
    """

    __slots__ = ("_report", "_unseen_up_to", "cart", "joined_on", "resumed", "rev")

    def __init__(self, cart: str, report: Callable[[str], None]) -> None:
        self.cart = cart
        self.rev = 0
        self.joined_on: object | None = None
        self.resumed: dict[str, int] = {}
        """The revs by op_id that the last resume brought."""
        self._unseen_up_to = 0
        self._report = report

    def on_joined(self, frame: Frame, connection: object, asked_from: int) -> None:
        """A join's `ok`: it brings what was missed since `asked_from`, or a state."""
        self.resumed = {}
        self._unseen_up_to = 0
        if frame.ops is not None:
            revs = [op.rev for op in frame.ops]
            if revs != list(range(asked_from + 1, frame.rev + 1)):
                self._report(f"resumed from rev {asked_from} to {frame.rev} with revs {revs}")
            self.resumed = {op.op_id: op.rev for op in frame.ops if op.op_id is not None}
        elif frame.rev < asked_from:
            self._report(f"went back from rev {asked_from} to {frame.rev}")
        self.rev = frame.rev
        self.joined_on = connection

    def on_created(self, frame: Frame, connection: object) -> None:
        """A creation's `ok`: it joins, too, and tells where the cart is now."""
        self.rev = frame.rev
        self.joined_on = connection

    def on_pushed(self, frame: Frame) -> None:
        for op in frame.ops or ():
            if op.rev != self.rev + 1:
                self._report(f"pushed rev {op.rev} after {self.rev}")
            self.rev = op.rev
        if self.rev >= self._unseen_up_to:
            self._unseen_up_to = 0

    def on_state(self, frame: Frame) -> None:
        if frame.rev < max(self.rev, self._unseen_up_to):
            self._report(f"got a state of rev {frame.rev} after {self.rev}")
        self.rev = frame.rev
        self._unseen_up_to = 0

    def on_done(self, frame: Frame, op_id: str) -> None:
        """An op's own `ok`. A rev known already is that of an op sent before."""
        resumed_as = self.resumed.get(op_id, frame.rev)
        if resumed_as != frame.rev:
            self._report(f"{op_id} was resumed as rev {resumed_as}, its ok says {frame.rev}")
        if frame.rev == self.rev + 1:
            self.rev = frame.rev
        elif frame.rev > self.rev:
            # Replies overtake pushes only when we fell behind; then a state must come.
            self._unseen_up_to = frame.rev

    def on_gone(self, frame: Frame) -> None:
        self._report(f"gone: {frame.reason}")
        self.joined_on = None

    def on_left(self) -> None:
        self.joined_on = None
        if self._unseen_up_to:
            self._report(f"never told of revs {self.rev + 1} to {self._unseen_up_to}")
