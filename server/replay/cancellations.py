"""What cancellations take back: earlier sales of the same customer and code, newest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from server.replay.recording import Row

Covers = dict[Row, list[tuple[Row, int]]]
"""For each cancelling row the sold rows that it takes back, with how many pieces of each."""


@dataclass(frozen=True, slots=True)
class Uncovered:
    """`pieces` of a cancelling row that no earlier sale covers, and why."""

    line: int
    invoice: str
    code: str
    customer: str
    pieces: int
    reason: str


def cover(sales: Sequence[Row], cancellations: Sequence[Row]) -> tuple[Covers, list[Uncovered]]:
    """Match cancellations with sales, both in the order of time.

    A row without a customer names nobody, so nothing can be found to be theirs.
    """
    standing: defaultdict[tuple[str, str], list[tuple[Row, int]]] = defaultdict(list)
    covers: Covers = {}
    uncovered: list[Uncovered] = []
    cancelling = set(cancellations)
    for row in sorted((*sales, *cancellations), key=lambda row: (row.at, row.line)):
        sold = standing[(row.customer, row.code)]
        if row not in cancelling:
            if row.customer:
                sold.append((row, row.quantity))
            continue
        covers[row], missing = _take(sold, row.quantity) if row.customer else ([], row.quantity)
        if missing:
            reason = "no earlier sale" if row.customer else "names no customer"
            uncovered.append(
                Uncovered(row.line, row.invoice, row.code, row.customer, missing, reason)
            )
    return covers, uncovered


def _take(sold: list[tuple[Row, int]], pieces: int) -> tuple[list[tuple[Row, int]], int]:
    """Take `pieces` from the end of `sold`: what came from where, and how many were missing."""
    taken: list[tuple[Row, int]] = []
    while pieces and sold:
        sale, left = sold.pop()
        some = min(pieces, left)
        taken.append((sale, some))
        pieces -= some
        if left > some:
            sold.append((sale, left - some))
    return taken, pieces
