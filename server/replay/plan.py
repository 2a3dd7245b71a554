"""Planning a replay: which carts, whose lines, in which ops, and where connections break.

A plan is a pure function of the recording, the seed and the size of the pool of members. Playing
it again sends the same ops under the same op_ids; a slice is the beginning of the whole.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from realtime.limits import Limits
from server.replay.cancellations import Uncovered, cover
from server.replay.recording import Recording, Row

MEMBERS_A_CART_MIN: Final = 2
MEMBERS_A_CART_MAX: Final = 5
ITEMS_AN_OP: Final = (1, 1, 2, 3, 5, 8, 13, 20)
"""How many items an op carries is drawn from these: ops and items are both exercised."""
CUT_DELAY_MAX_S: Final = 0.01
"""How long after sending an op its connection may be cut: around the time that an ok takes."""
CREATE_N: Final = 1
SHARE_N: Final = 2


class Fault(Enum):
    """What goes wrong around an op."""

    NONE = auto()
    CUT_BEFORE = auto()
    """The connection is lost before the op is sent."""
    CUT_AFTER = auto()
    """The connection is lost after the op was sent, mostly before its reply."""
    REPEAT = auto()
    """The op is sent again although its ok came."""


@dataclass(frozen=True, slots=True)
class Mishap:
    """A fault, and how long after sending it strikes."""

    fault: Fault = Fault.NONE
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AddOp:
    """One `add`: number `n` of its sender's client, items as (code, pieces)."""

    n: int
    items: tuple[tuple[str, int], ...]
    mishap: Mishap


@dataclass(frozen=True, slots=True)
class Part:
    """What one member does in a cart. `member` is a place in the pool. No ops: looks on."""

    member: int
    client: str
    ops: tuple[AddOp, ...]


@dataclass(frozen=True, slots=True)
class CartPlan:
    """A sale. The first of `parts` is the owner's."""

    invoice: str
    create: Mishap
    share: Mishap
    parts: tuple[Part, ...]

    @property
    def owner(self) -> Part:
        return self.parts[0]


@dataclass(frozen=True, slots=True)
class TakeBack:
    """One op of a cancellation: `pieces` off the line of (code, member), or all that is left."""

    n: int
    code: str
    member: int
    pieces: int
    removes: bool
    mishap: Mishap


@dataclass(frozen=True, slots=True)
class CancellationPlan:
    """Take-backs by the sale that they belong to, done by the owners of those carts."""

    invoice: str
    carts: dict[str, tuple[TakeBack, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs` are in the order of playing; `after` names those that must be done before one.

    A job comes after everything that it waits for, so whoever plays them in order can't get stuck.
    """

    identity: str
    carts: dict[str, CartPlan]
    jobs: tuple[CartPlan | CancellationPlan, ...]
    after: dict[str, frozenset[str]]
    uncovered: tuple[Uncovered, ...]
    covered_pieces: int

    def device(self, member: int) -> str:
        """The client id, a UUID, with which this member of the pool says hello."""
        return str(uuid.uuid5(_namespace(self.identity), f"device {member}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """What is drawn, and how often: rates are shares of ops, from 0 to 1."""

    seed: int
    members: int
    drop_rate: float
    resend_rate: float


def make_plan(recording: Recording, chances: Chances, limits: Limits) -> Plan:
    """Plan the replay of a recording to a server with these limits."""
    content = f"{recording.fingerprint} {chances.seed} {chances.members}"
    identity = hashlib.sha256(content.encode()).hexdigest()[:16]
    planner = _Planner(identity, chances, limits)
    sales: defaultdict[str, list[Row]] = defaultdict(list)
    for row in recording.sales:
        sales[row.invoice].append(row)
    for invoice, rows in sales.items():
        planner.plan_cart(invoice, rows)
    covers, uncovered = cover(recording.sales, recording.cancellations)
    returns: defaultdict[str, list[tuple[Row, int]]] = defaultdict(list)
    last: dict[str, Row] = {}
    for row in recording.cancellations:
        last[row.invoice] = row
        returns[row.invoice].extend(covers[row])
    # By its last row: everything that any of its rows takes back was sold before.
    for invoice in sorted(returns, key=lambda invoice: (last[invoice].at, last[invoice].line)):
        planner.plan_cancellation(invoice, returns[invoice])
    started = {invoice: (rows[0].at, rows[0].line) for invoice, rows in sales.items()}
    started |= {invoice: (row.at, row.line) for invoice, row in last.items()}
    return Plan(
        identity=identity,
        carts=planner.carts,
        jobs=tuple(sorted(planner.jobs, key=lambda job: started[job.invoice])),
        after=planner.after,
        uncovered=tuple(uncovered),
        covered_pieces=sum(pieces for taken in covers.values() for _, pieces in taken),
    )


def _namespace(identity: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"cartroom replay {identity}")


@dataclass(slots=True)
class _Planner:
    identity: str
    chances: Chances
    limits: Limits
    carts: dict[str, CartPlan] = field(default_factory=dict)
    jobs: list[CartPlan | CancellationPlan] = field(default_factory=list)
    after: dict[str, frozenset[str]] = field(default_factory=dict)
    _adder: dict[Row, int] = field(default_factory=dict)
    _left: defaultdict[tuple[str, str, int], int] = field(default_factory=lambda: defaultdict(int))
    _next_n: dict[str, int] = field(default_factory=dict)
    _last_job: dict[str, str] = field(default_factory=dict)

    def plan_cart(self, invoice: str, rows: list[Row]) -> None:
        """Share out an invoice's rows among members, and cut each one's share into ops."""
        draw = random.Random(f"{self.identity} {invoice}")  # noqa: S311 - to be repeatable
        mishaps = random.Random(f"{self.identity} {invoice} mishaps")  # noqa: S311
        at_most = min(MEMBERS_A_CART_MAX, self.chances.members, self.limits.members)
        count = draw.randint(MEMBERS_A_CART_MIN, max(MEMBERS_A_CART_MIN, min(at_most, len(rows))))
        members = draw.sample(range(self.chances.members), count)
        shares = self._share_out(rows, members, draw)
        namespace = _namespace(self.identity)
        parts = []
        for place, member in enumerate(members):
            n = SHARE_N if place == 0 else 0
            ops = []
            for items in self._cut_up(shares[member], draw):
                n += 1
                ops.append(AddOp(n, items, self._mishap(mishaps)))
            client = str(uuid.uuid5(namespace, f"{invoice} {member}"))
            parts.append(Part(member, client, tuple(ops)))
            if place == 0:
                self._next_n[invoice] = n + 1
        cart = CartPlan(invoice, self._mishap(mishaps), self._mishap(mishaps), tuple(parts))
        self.carts[invoice] = cart
        self._add_job(cart, ())

    def plan_cancellation(self, invoice: str, taken: Iterable[tuple[Row, int]]) -> None:
        """Plan the take-backs of a cancellation; earlier ones must have been planned before."""
        mishaps = random.Random(f"{self.identity} {invoice} mishaps")  # noqa: S311
        carts: defaultdict[str, list[TakeBack]] = defaultdict(list)
        for sale, pieces in taken:
            member = self._adder[sale]
            line = (sale.invoice, sale.code, member)
            self._left[line] -= pieces
            n = self._next_n[sale.invoice]
            self._next_n[sale.invoice] = n + 1
            removes = self._left[line] == 0
            take_back = TakeBack(n, sale.code, member, pieces, removes, self._mishap(mishaps))
            carts[sale.invoice].append(take_back)
        if carts:
            plan = CancellationPlan(invoice, {cart: tuple(ops) for cart, ops in carts.items()})
            self._add_job(plan, carts)

    def _add_job(self, job: CartPlan | CancellationPlan, carts: Iterable[str]) -> None:
        """Queue a job after whatever changed its carts last."""
        self.after[job.invoice] = frozenset(self._last_job[cart] for cart in carts)
        for cart in [job.invoice] if isinstance(job, CartPlan) else carts:
            self._last_job[cart] = job.invoice
        self.jobs.append(job)

    def _share_out(
        self, rows: list[Row], members: list[int], draw: random.Random
    ) -> dict[int, list[Row]]:
        """Rows by who adds them: everybody has some, where there are enough."""
        # One code with two members makes two lines; a long invoice hasn't room for that.
        by_code: dict[str, int] | None = {} if len(rows) > self.limits.lines else None
        shares: dict[int, list[Row]] = {member: [] for member in members}
        for place, row in enumerate(rows):
            member = members[place] if place < len(members) else draw.choice(members)
            if by_code is not None:
                member = by_code.setdefault(row.code, member)
            shares[member].append(row)
            self._adder[row] = member
            self._left[(row.invoice, row.code, member)] += row.quantity
        return shares

    def _cut_up(
        self, rows: list[Row], draw: random.Random
    ) -> Iterable[tuple[tuple[str, int], ...]]:
        start = 0
        while start < len(rows):
            size = min(draw.choice(ITEMS_AN_OP), self.limits.items)
            yield tuple((row.code, row.quantity) for row in rows[start : start + size])
            start += size

    def _mishap(self, draw: random.Random) -> Mishap:
        # Always three draws, so that other rates don't move where the rest strikes.
        chance, kind, delay = draw.random(), draw.random(), draw.random()
        if chance < self.chances.drop_rate:
            if kind < 0.25:
                return Mishap(Fault.CUT_BEFORE)
            return Mishap(Fault.CUT_AFTER, delay * CUT_DELAY_MAX_S)
        if chance < self.chances.drop_rate + self.chances.resend_rate:
            return Mishap(Fault.REPEAT)
        return Mishap()
