"""One cart played from the beginning: are states, effects and refusals what they must be?"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from commerce.catalog.product import Product
from tests.checker.evidence import (
    Attempt,
    CartEvidence,
    Evidence,
    Sender,
    Sighting,
    StateSighting,
    split,
)
from tests.checker.linear import REFUSE, Timeline
from tests.checker.sequential import (
    LIMITS,
    SERVICES_KINDS,
    Facts,
    access,
    effect_of,
    malformed,
    refusals,
    refused_rightly,
    service_effect_of,
    wrong_with_add,
)
from tests.checker.violation import (
    BACK,
    NOT_ALLOWED,
    WRONG_EFFECT,
    WRONG_REFUSAL,
    WRONG_STATE,
    Violation,
    proof,
)
from tests.history import Message, Record
from tests.mirror import Broken, Mirror

CLIENTS_REMEMBERED: Final = 64
"""Of each user, in a cart's state; the number of one that was forgotten is told as 0."""


@dataclass
class Doubt:
    """A refusal that was right on no state so far. It may be on one from rev `low` to `high`."""

    attempt: Attempt
    first: Attempt
    low: int
    high: int


class Replay:
    """Plays a timeline, holding each state, effect and refusal against the specification."""

    def __init__(
        self, evidence: Evidence, timeline: Timeline, products: Mapping[str, Product]
    ) -> None:
        self.evidence = evidence
        self.timeline = timeline
        self.cart: CartEvidence = timeline.cart
        self.members: dict[int, frozenset[str]] = {}
        """Who was in the cart at each rev whose state is known."""
        self._products = products
        self._currency: str | None = None
        self._states: dict[int, list[StateSighting]] = defaultdict(list)
        for shown in self.cart.states:
            self._states[shown.rev].append(shown)
        self._head = max([timeline.head, *self._states], default=0)
        self._mirror: Mirror | None = Mirror() if 1 in timeline.ops else None
        self._base: StateSighting | None = None
        self._doubts: list[Doubt] = []
        self._revs_of_client: dict[Sender, list[int]] = defaultdict(list)
        for rev, sighting in timeline.ops.items():
            self._revs_of_client[sighting.op.sender].append(rev)
        self._clients = Counter(user for user, _ in self._revs_of_client)
        self._waiting = sorted(self._refusals(), key=lambda doubt: doubt.low)

    def violations(self) -> Iterator[Violation]:
        yield from self._times()
        for rev in range(self._head + 1):
            if rev:
                yield from self._step(rev)
            yield from self._compare(rev)
            if self._mirror is not None:
                self.members[rev] = frozenset(self._mirror.members)
            self._doubt(rev)
            for doubt in self._hopeless(rev):
                yield self._wrong_refusal(doubt)

    def _times(self) -> Iterator[Violation]:
        before: Sighting | None = None
        for rev, sighting in self.timeline.ops.items():
            if before is not None and sighting.op.at < before.op.at:
                text = f"`at` of rev {rev} is before that of rev {before.rev}"
                yield Violation(BACK, self.cart.cart, text, proof(before.records, sighting.records))
            before = sighting

    # Steps

    def _step(self, rev: int) -> Iterator[Violation]:
        sighting = self.timeline.ops.get(rev)
        if sighting is None or self._mirror is None:
            self._mirror = None  # nobody told what happened here
            return
        op = sighting.op
        if op.kind == "create":
            self._currency = op.effect["currency"]
        elif op.kind == REFUSE:
            yield from self._judge_refusal(rev, sighting)
        else:
            yield from self._judge(rev, sighting)
        try:
            self._mirror.apply(rev, op.by, op.effect)
        except Broken as error:
            self._mirror = None
            text = f"what took effect can't: {error}"
            yield self._about_step(WRONG_EFFECT, text, sighting)

    def _judge(self, rev: int, sighting: Sighting) -> Iterator[Violation]:
        assert self._mirror is not None
        op = sighting.op
        attempts = self.timeline.attempts(op)
        sent = attempts[0].content if attempts else None
        denied = access(self._mirror, op.by, sent or op.effect)
        if denied is not None:
            role = self._mirror.members.get(op.by)
            who = f"a {role}" if role else "no member"
            text = f"{op.by}'s {op.kind} took effect at rev {rev}, who was {who} then"
            yield self._about_step(NOT_ALLOWED, text, sighting)
            return
        if op.kind in SERVICES_KINDS:
            expected = service_effect_of(self._mirror, op.effect, self._limits)
            if op.effect != expected:
                text = f"rev {rev}: its effect is {op.effect}, and had to be {expected}"
                yield self._about_step(WRONG_EFFECT, text, sighting)
            return
        if sent is None:
            return
        results = next((a.answer.get("results") for a in attempts if a.accepted), op.results)
        wrong = self._wrong_with(sent, sighting, results)
        if wrong is not None:
            yield self._about_step(WRONG_EFFECT, f"rev {rev}: {wrong}", sighting)

    def _judge_refusal(self, rev: int, sighting: Sighting) -> Iterator[Violation]:
        """A refusal on record is of a member. Its reason is judged as every refusal's.

        That need not be one of the state that it follows: a copy of an op that was refused before
        shares its fate, and goes on record later.
        """
        assert self._mirror is not None
        op = sighting.op
        if op.by not in self._mirror.members:
            text = f"{op.by} had a refusal on record at rev {rev}, and was no member then"
            yield self._about_step(NOT_ALLOWED, text, sighting)

    def _wrong_with(
        self, sent: Message, sighting: Sighting, results: list[Message | None] | None
    ) -> str | None:
        assert self._mirror is not None
        op, facts = sighting.op, self._facts({"results": results})
        if sent["kind"] == "add":
            if malformed(sent):
                return "it had to be refused: bad_request"
            return self._wrong_price(op.effect) or wrong_with_add(
                self._mirror, op.by, sent, op.effect, results, facts
            )
        possible = refusals(self._mirror, op.by, sent, facts)
        if possible:
            return f"it had to be refused: {', '.join(sorted(possible))}"
        expected = effect_of(self._mirror, sent)
        told = {key: op.effect.get(key) for key in expected}
        if len(told) != len(op.effect) or (told != expected and sent["kind"] != "share"):
            return f"its effect is {op.effect}, and had to be {expected}"
        return None

    def _wrong_price(self, effect: Message) -> str | None:
        for item in effect["items"]:
            product = self._products.get(item["sku"])
            if product and (item["name"], item["unit_price"]) != (product.name, product.price):
                return f"{item} has not the name and price of {product}"
        return None

    @property
    def _limits(self) -> Mapping[str, int]:
        return {**LIMITS, **self.evidence.limits}

    def _facts(self, error: Message) -> Facts:
        sold = {
            sku: product
            for sku, product in self._products.items()
            if self._currency in (None, product.currency)
        }
        known = Facts(
            {sku: product.available for sku, product in sold.items()},
            frozenset(self._products.keys() - sold.keys()),
            limits=self._limits,
        )
        return known.granting(error, self.evidence.people, frozenset(self._products))

    def _about_step(self, kind: str, text: str, sighting: Sighting) -> Violation:
        """With the step itself, what was sent, and all that makes the state before it."""
        requests = [one.request for one in self.timeline.attempts(sighting.op)[:1]]
        replies = [one.reply for one in self.timeline.attempts(sighting.op)[:1] if one.accepted]
        made_of, stored = self._made_of(sighting.rev - 1)
        known = proof(made_of, requests, [r for r in replies if r], sighting.records)
        return Violation(kind, self.cart.cart, text, known, (*stored, *sighting.stored))

    def _made_of(self, rev: int) -> tuple[tuple[Record, ...], tuple[str, ...]]:
        """What proves the state at a rev: the last state shown until then, and the ops since."""
        base = self._base.rev if self._base else 0
        ops = [
            self.timeline.ops[one] for one in range(base + 1, rev + 1) if one in self.timeline.ops
        ]
        records = proof(self._base.records if self._base else (), *(one.records for one in ops))
        return records, tuple(line for one in ops for line in one.stored)

    # States

    def _compare(self, rev: int) -> Iterator[Violation]:
        for shown in self._states.get(rev, ()):
            told = Mirror.of_state(rev, shown.state)
            if self._mirror is None:
                self._mirror, self._currency = told, shown.state.get("currency")
                if shown.records:
                    self._base = shown
            elif told.content() != self._mirror.content():
                yield self._wrong_state(shown, self._difference(told))
            elif (wrong := self._wrong_position(shown)) is not None:
                yield self._wrong_state(shown, wrong)
            elif shown.records:
                self._base = shown

    def _difference(self, told: Mirror) -> str:
        assert self._mirror is not None
        mine, theirs = self._mirror.content(), told.content()
        keys = [key for key in mine if mine[key] != theirs[key]]
        return "; ".join(f"{key} is {theirs[key]}, and had to be {mine[key]}" for key in keys)

    def _wrong_position(self, shown: StateSighting) -> str | None:
        """What is wrong with the fields beside and derived from the state."""
        assert self._mirror is not None
        lines, totals = self._mirror.lines.values(), shown.state.get("totals")
        subtotal = sum(line["qty"] * line["unit_price"] for line in lines)
        pieces = sum(line["qty"] for line in lines)
        expected = {"lines": len(lines), "pieces": pieces, "subtotal": subtotal, "total": subtotal}
        if totals is not None and totals != expected:
            return f"totals are {totals}, and had to be {expected}"
        if not shown.position:
            return None
        user, client = shown.records[-1].user, shown.records[-1].client
        role = self._mirror.members.get(user)
        if shown.position["role"] != role:
            return f"told role is {shown.position['role']}, and had to be {role}"
        n = self._number(user, client, shown.rev)
        if n is not None and shown.position["n"] < n:
            return f"told number is {shown.position['n']}, but {n} has had its effect"
        return None

    def _number(self, user: str, client: str, rev: int) -> int | None:
        """The client's last number up to a rev. None for who has too many to be remembered."""
        if self._clients[user] > CLIENTS_REMEMBERED:
            return None
        revs = self._revs_of_client.get((user, client), [])
        index = bisect_right(revs, rev)
        return split(self.timeline.ops[revs[index - 1]].op.op_id)[1] if index else 0

    def _wrong_state(self, shown: StateSighting, difference: str) -> Violation:
        text = f"the state at rev {shown.rev}: {difference}"
        made_of, stored = self._made_of(shown.rev)
        told = () if shown.records else (f"snapshot: {shown.state}",)
        return Violation(
            WRONG_STATE, self.cart.cart, text, proof(made_of, shown.records), (*stored, *told)
        )

    # Refusals

    def _refusals(self) -> Iterator[Doubt]:
        for attempts in self.cart.by_op_id.values():
            for attempt in attempts:
                if not attempt.refused or attempt.reply is None:
                    continue
                first = next(one for one in attempts if one.same_op(attempt))
                low, _ = self.cart.seen_before(first.request.seq)
                high = max(low, self.timeline.last_by(attempt.reply.seq))
                yield Doubt(attempt, first, low, high)

    def _doubt(self, rev: int) -> None:
        """Take out of doubt what is right on the state at a rev."""
        while self._waiting and self._waiting[0].low <= rev:
            self._doubts.append(self._waiting.pop(0))
        self._doubts = [doubt for doubt in self._doubts if not self._is_right(doubt)]

    def _is_right(self, doubt: Doubt) -> bool:
        attempt = doubt.attempt
        if attempt.answer["code"] == "conflict":
            return self._is_used(doubt)
        if self._mirror is None:
            return True  # for all we know
        facts = self._facts(attempt.answer)
        return refused_rightly(self._mirror, attempt.user, attempt.content, attempt.answer, facts)

    def _is_used(self, doubt: Doubt) -> bool:
        """Whether a number, or a higher one of its client, was used."""
        attempt = doubt.attempt
        others = self.cart.by_op_id[attempt.user, attempt.op_id]
        if any(not one.same_op(attempt) for one in others):
            return True
        client, n = split(attempt.op_id)
        for rev in self._revs_of_client.get((attempt.user, client), []):
            if rev <= doubt.high and split(self.timeline.ops[rev].op.op_id)[1] > n:
                return True
        known = self.timeline.ops
        return any(rev not in known for rev in range(self.timeline.begin, doubt.high + 1))

    def _hopeless(self, rev: int) -> list[Doubt]:
        found = [doubt for doubt in self._doubts if doubt.high <= rev]
        self._doubts = [doubt for doubt in self._doubts if doubt.high > rev]
        return found

    def _wrong_refusal(self, doubt: Doubt) -> Violation:
        attempt = doubt.attempt
        where = (
            f"rev {doubt.low}" if doubt.low == doubt.high else f"rev {doubt.low} to {doubt.high}"
        )
        text = f"{attempt.op_id} was refused as {attempt.answer['code']}, wrongly at {where}"
        made_of, stored = self._made_of(doubt.high)
        records = proof(made_of, doubt.first.request, attempt.request, attempt.reply)
        return Violation(WRONG_REFUSAL, self.cart.cart, text, records, stored)
