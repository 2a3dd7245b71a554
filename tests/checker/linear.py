"""One cart's ops in the order of their revs: do all agree on it, and does it agree with time?"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.checker.evidence import (
    Attempt,
    CartEvidence,
    Evidence,
    Op,
    Sender,
    Sighting,
    plain,
    split,
)
from tests.checker.violation import (
    ANSWERS_DIFFER,
    DISAGREEMENT,
    LOST,
    ORDER,
    REFUSED,
    TWICE,
    UNSENT,
    WRONG_EFFECT,
    Violation,
    proof,
)
from tests.history import Message, Record

REFUSE = "refuse"
"""The kind of an entry that has no effect but to record a refusal."""


SERVICES_EFFECTS = ("merge", "depart", "delete")
"""What no client has sent, but the service has done of itself. Where all departed, it deletes."""


class Timeline:
    """What is known of a cart's revs: the first sighting of each stands for it."""

    def __init__(self, evidence: Evidence, cart: CartEvidence) -> None:
        self.evidence = evidence
        self.cart = cart
        self.ops: dict[int, Sighting] = {
            rev: min(sightings, key=lambda one: one.seq)
            for rev, sightings in sorted(cart.sightings.items())
        }
        self.revs_of: dict[tuple[str, str | None], list[int]] = defaultdict(list)
        for rev, sighting in self.ops.items():
            self.revs_of[sighting.op.by, sighting.op.op_id].append(rev)
        self.begin = self._begin()
        self._sent_at, self._lowest_from = self._first_sent()

    def _begin(self) -> int:
        """The first rev that is a recorded client's. What lies before was set up by others."""
        ours = (rev for rev, one in self.ops.items() if one.op.sender in self.evidence.clients)
        return min(ours, default=max(self.ops, default=0) + 1)

    def _first_sent(self) -> tuple[list[int], list[int]]:
        """When each op in effect was first sent, and the lowest rev of those sent since then."""
        found = []
        for rev, sighting in self.ops.items():
            attempts = self.attempts(sighting.op)
            if attempts:
                found.append((attempts[0].request.seq, rev))
        found.sort()
        lowest: list[int] = []
        for _, rev in reversed(found):
            lowest.append(min(rev, lowest[-1]) if lowest else rev)
        return [seq for seq, _ in found], lowest[::-1]

    def last_by(self, seq: int) -> int:
        """The last rev that the cart can have had by a record: later ones were sent after it."""
        index = bisect_right(self._sent_at, seq)
        return self._lowest_from[index] - 1 if index < len(self._lowest_from) else self.head

    @property
    def head(self) -> int:
        return max(self.ops, default=0)

    def attempts(self, op: Op) -> list[Attempt]:
        """The sendings that can have had this op as their effect."""
        if op.kind == "create":
            return [
                one for one in self.evidence.creations if (one.user, one.op_id) == (op.by, op.op_id)
            ]
        found = self.cart.by_op_id.get((op.by, op.op_id), [])
        return [one for one in found if op.kind == REFUSE or matches(one.content, op)]

    def violations(self) -> Iterator[Violation]:
        yield from self._agreement()
        yield from self._end_of_log()
        yield from self._once()
        yield from self._sent()
        yield from self._answers()
        yield from self._numbers()

    def _violation(self, kind: str, text: str, *sightings: Sighting | Attempt) -> Violation:
        records = [_records(one) for one in sightings]
        stored = [line for one in sightings if isinstance(one, Sighting) for line in one.stored]
        return Violation(kind, self.cart.cart, text, proof(*records), tuple(stored))

    # Agreement

    def _agreement(self) -> Iterator[Violation]:
        for rev, sightings in self.cart.sightings.items():
            first = self.ops[rev]
            for other in sightings:
                if first.op.differs(other.op):
                    yield self._violation(
                        DISAGREEMENT, f"rev {rev} was told as two different ops", first, other
                    )
                    break

    def _end_of_log(self) -> Iterator[Violation]:
        logged = self.cart.logged
        if logged is None:
            return
        stored = {
            rev: [one for one in sightings if not one.records]
            for rev, sightings in self.cart.sightings.items()
        }
        for rev in range(1, logged + 1):
            if len(stored.get(rev, ())) != 1:
                yield Violation(
                    LOST,
                    self.cart.cart,
                    f"the log holds rev {rev} {len(stored.get(rev, ()))} times",
                    stored=(f"log: {logged} ops",),
                )
                return
        if self.head > logged:
            told = self.ops[self.head]
            text = f"rev {self.head} was told, but the log ends at rev {logged}"
            yield self._violation(LOST, text, told)

    # Exactly one effect

    def _once(self) -> Iterator[Violation]:
        for (_, op_id), revs in self.revs_of.items():
            if op_id is None or len(revs) == 1:
                continue
            first, second = (self.ops[rev] for rev in revs[:2])
            kinds = {first.op.kind, second.op.kind}
            if REFUSE not in kinds:
                text = f"{op_id} took effect at rev {revs[0]} and at rev {revs[1]}"
                yield self._violation(TWICE, text, first, second)
            elif kinds != {REFUSE}:
                text = f"{op_id} was refused and took effect: revs {revs[0]} and {revs[1]}"
                yield self._violation(REFUSED, text, first, second)

    def _sent(self) -> Iterator[Violation]:
        for rev, sighting in self.ops.items():
            op = sighting.op
            strange = op.sender not in self.evidence.clients
            if strange and (rev < self.begin or op.kind in SERVICES_EFFECTS):
                continue
            attempts = self.attempts(op)
            others = self.cart.by_op_id.get((op.by, op.op_id), [])
            if not attempts and others:
                text = f"what took effect at rev {rev} is not what was sent as {op.op_id}"
                yield self._violation(WRONG_EFFECT, text, others[0], sighting)
                continue
            if not attempts or attempts[0].request.seq > sighting.seq:
                yield self._violation(UNSENT, f"nobody had sent the op at rev {rev}", sighting)
                continue
            yield from self._in_time(rev, sighting, attempts[0])
            yield from self._not_refused(rev, sighting, attempts)

    def _in_time(self, rev: int, sighting: Sighting, first: Attempt) -> Iterator[Violation]:
        known, where = self.cart.seen_before(first.request.seq)
        if known >= rev and where is not None:
            text = f"rev {known} was known before the op of rev {rev} was first sent"
            known_by = self.evidence.with_request(where)
            yield Violation(
                ORDER,
                self.cart.cart,
                text,
                proof(known_by, first.request, sighting.records),
                sighting.stored,
            )

    def _not_refused(
        self, rev: int, sighting: Sighting, attempts: list[Attempt]
    ) -> Iterator[Violation]:
        for attempt in attempts:
            if attempt.refused and sighting.op.kind != REFUSE:
                text = f"refused as {attempt.answer['code']}, but in effect at rev {rev}"
                # Another content may have been sent under the number of a refused one.
                alike = [one for one in attempts if not one.same_op(attempt)]
                if not any(not one.refused for one in alike):
                    yield self._violation(REFUSED, text, attempt, sighting)
                    return

    # Answers

    def _answers(self) -> Iterator[Violation]:
        for attempts in self.cart.by_op_id.values():
            accepted = [one for one in attempts if one.accepted]
            if not accepted:
                continue
            first = accepted[0]
            if first.answer["op"]["kind"] == REFUSE:
                yield self._violation(REFUSED, "a refusal came as an acknowledgement", first)
            for other in accepted[1:]:
                if not first.same_op(other):
                    text = "two contents under one number were both acknowledged"
                    yield self._violation(ANSWERS_DIFFER, text, first, other)
                    break
                if _told_of(first) != _told_of(other):
                    text = "a resend was acknowledged otherwise than the first time"
                    yield self._violation(ANSWERS_DIFFER, text, first, other)
                    break
            for refused in attempts:
                if refused.refused and refused.same_op(first):
                    text = "one op was acknowledged, and refused for good"
                    yield self._violation(REFUSED, text, first, refused)
                    break

    def _numbers(self) -> Iterator[Violation]:
        last: dict[Sender, Sighting] = {}
        for rev, sighting in self.ops.items():
            op = sighting.op
            if op.op_id is None:
                continue
            before = last.get(op.sender)
            if before is not None and split(before.op.op_id)[1] > split(op.op_id)[1]:
                text = f"{op.op_id} was used at rev {rev}, after {before.op.op_id}"
                yield self._violation(ORDER, text, before, sighting)
            last[op.sender] = sighting


def _records(one: Sighting | Attempt) -> tuple[Record, ...]:
    return one.records if isinstance(one, Sighting) else proof(one.request, one.reply)


def matches(content: Message, op: Op) -> bool:
    """Whether the op, as sent, can have had this effect on some state."""
    sent, effect = plain(content), op.effect
    if sent["kind"] != effect["kind"]:
        return False
    if sent["kind"] != "add":
        return all(effect.get(key) == value for key, value in sent.items())
    asked = [(item["sku"], item["qty"], item.get("for") or op.by) for item in sent["items"]]
    taken = [(item["sku"], item["qty"], item["for"]) for item in effect["items"]]
    if not sent.get("partial"):
        return asked == taken
    rest = iter(asked)
    return all(item in rest for item in taken)


def _told_of(attempt: Attempt) -> tuple[Any, ...]:
    """What an acknowledgement tells, but for the names of users, which change."""
    answer = attempt.answer
    return answer.get("rev"), answer.get("at"), plain(answer["op"]), answer.get("results")
