"""What a client knows of one cart, and holds all that comes in against, as it comes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.mirror import Broken, Mirror

Message = dict[str, Any]


@dataclass
class Seen:
    """A client's copy of a cart and what it knows of its ops there. `counts` tells what came."""

    counts: Counter[str]
    mirror: Mirror | None = None
    """What was last known; survives the socket."""
    joined: bool = False
    shut_out: bool = False
    """We are no member, as far as we were told."""
    put_off: bool = False
    """Something was refused for now and must be sent again."""
    missed: int = 0
    """A rev above what we have, known by an own `ok`: we fell behind, and a state must come."""
    unanswered: dict[int, Message] = field(default_factory=dict)
    """Ops by number whose answer is not final."""
    acknowledged: dict[int, Message] = field(default_factory=dict)
    """The first `ok` by number."""
    refused: dict[int, str] = field(default_factory=dict)
    """Codes of final refusals by number."""
    sent: dict[int, Message] = field(default_factory=dict)

    def take_join(self, reply: Message, first_n: int) -> None:
        """The reply to `cart.join`, by a client whose numbers begin with `first_n`."""
        if reply["type"] == "error":
            if reply["code"] == "not_found":
                self.mirror, self.shut_out = None, True
            elif not reply["temporary"]:
                raise Broken(f"{reply}")
            return
        self.joined, self.shut_out, self.missed = True, False, 0
        for n, ok in self.acknowledged.items():
            if n >= first_n and ok["rev"] <= reply["rev"] and n > reply["n"]:
                raise Broken(f"joined with n {reply['n']} at rev {reply['rev']}, but: {ok}")
        if "state" in reply:
            self.counts["states"] += 1
            self.mirror = Mirror.of_state(reply["rev"], reply["state"])
            return
        self.counts["resumes"] += 1
        # It was asked for what follows the rev of then; our own `ok`s may have come since.
        known = self.mirror.rev if self.mirror else 0
        self._apply([op for op in reply["ops"] if op["rev"] > known])
        if self.mirror is None or self.mirror.rev != reply["rev"]:
            raise Broken(f"resumed to {self.mirror and self.mirror.rev}, told was {reply['rev']}")

    def take_answer(self, n: int, reply: Message) -> None:
        """An answer to op `n`, or to a copy of it on whatever socket."""
        if reply["type"] == "error":
            if reply["temporary"]:
                self.put_off = True
                return
            if n in self.acknowledged and n not in self.refused:
                raise Broken(f"acknowledged, and then {reply}")
            self.counts["answers"] += 1
            self.refused.setdefault(n, reply["code"])
            self.unanswered.pop(n, None)
            return
        if n in self.refused:
            raise Broken(f"refused for good as {self.refused[n]}, and then {reply}")
        self.counts["answers"] += 1
        first = self.acknowledged.setdefault(n, reply)
        for key in ("rev", "at", "op", "results"):
            if nameless(first.get(key)) != nameless(reply.get(key)):
                raise Broken(f"acknowledged as {first}, and then as {reply}")
        self.unanswered.pop(n, None)

    def take_effect(self, reply: Message, by: str, *, may_be_behind: bool) -> None:
        """What this socket was told as the answer to an op: it may be the next rev.

        Of a socket that has fallen behind pushes are skipped, but never replies.
        """
        if reply["type"] == "error" or not self.joined or self.mirror is None:
            return
        if may_be_behind and reply["rev"] > self.mirror.rev + 1:
            self.counts["oks ahead"] += 1
            self.missed = max(self.missed, reply["rev"])
        elif reply["rev"] > self.mirror.rev:
            self._apply([{"rev": reply["rev"], "by": by, "op": reply["op"]}])

    def take_push(self, push: Message) -> None:
        if push["type"] == "cart.gone":
            self.counts["gone"] += 1
            self.joined, self.mirror = False, None
        if push["type"] not in ("cart.ops", "cart.state"):
            return
        if not self.joined or self.mirror is None:
            raise Broken(f"pushed without a join: {push}")
        if push["type"] == "cart.ops":
            if self.missed:
                raise Broken(f"{self.missed} was an own op's; after {self.mirror.rev} came {push}")
            self._apply(push["ops"])
            return
        self.counts["fresh states"] += 1
        if push["rev"] < self.missed:
            raise Broken(f"behind {self.missed}: {push}")
        self.missed = 0
        fresh = Mirror.of_state(push["rev"], push["state"])
        if fresh.rev == self.mirror.rev and fresh.content() != self.mirror.content():
            raise Broken(f"a state that differs: {fresh.content()} {self.mirror.content()}")
        self.mirror = fresh

    def _apply(self, ops: list[Message]) -> None:
        if self.mirror is None:
            raise Broken(f"ops for a cart that we don't have: {ops}")
        for op in ops:
            self.mirror.apply(op["rev"], op["by"], op["op"])


def nameless(told: Any) -> Any:
    """What an answer tells, but for the names of users, which change."""
    if isinstance(told, dict) and "users" in told:
        return {**told, "users": [{**one, "name": ""} for one in told["users"]]}
    return told
