"""What a replay has to say at its end, for a person and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from server.replay.figures import Figures
from server.replay.plan import Plan
from server.replay.recording import Recording
from server.replay.verifier import WrongLine

LISTED_MAX: Final = 10
"""Entries of each list that are printed; the JSON has them all."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything found out. `figures` is None where carts were only compared."""

    recording: Recording
    plan: Plan
    seed: int
    figures: Figures | None
    wrong: list[WrongLine]
    discrepancies: list[str]
    """Where the ledger and the sender disagree about the file itself."""
    compared_lines: int

    @property
    def good(self) -> bool:
        faults = self.figures.fault_count if self.figures else 0
        return not (self.wrong or self.discrepancies or faults)

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield f"carts           {len(self.plan.carts):,} of {self.recording.invoices:,} invoices"
        if self.figures is not None:
            yield from self._played(self.figures)
        uncovered = self.plan.uncovered
        yield (
            f"taken back      {self.plan.covered_pieces:,} pieces by"
            f" {len(self.recording.cancellations):,} cancelling rows"
        )
        missing = sum(row.pieces for row in uncovered)
        yield f"not covered     {missing:,} pieces of {len(uncovered):,} cancelling rows"
        yield from _some(
            [
                f"line {row.line}, invoice {row.invoice}, {row.code}: {row.pieces} pieces,"
                f" {row.reason}"
                for row in uncovered
            ]
        )
        refused = self.recording.refused
        yield f"rows refused    {len(refused):,}"
        for reason, count in Counter(row.reason for row in refused).most_common():
            yield f"  {count:,} × {reason}"
        yield f"lines compared  {self.compared_lines:,}"
        yield f"wrong lines     {len(self.wrong):,}"
        yield from _some([str(line) for line in self.wrong])
        if self.discrepancies:
            yield f"disagreements   {len(self.discrepancies)} of the two readings of the file"
            yield from _some(self.discrepancies)

    def _played(self, figures: Figures) -> Iterator[str]:
        yield f"ops             {figures.ops:,} with {figures.items:,} items"
        if figures.known_before:
            yield f"  of these {figures.known_before:,} were recorded by an earlier replay"
        yield f"drops           {figures.drops:,}, {figures.resumes:,} carts resumed"
        yield f"resends         {figures.resends:,}"
        yield f"told to wait    {figures.retries:,} times"
        yield f"ops per second  {figures.ops_per_s:,.0f} in {figures.played_s:,.1f} s"
        yield f"ack             p50 {figures.ack_ms(50):.1f} ms, p99 {figures.ack_ms(99):.1f} ms"
        yield f"faults          {figures.fault_count:,}"
        yield from _some(figures.faults)

    def as_json(self) -> dict[str, Any]:
        """All of it, lists in full."""
        figures = self.figures
        played: dict[str, Any] | None = None
        if figures is not None:
            played = {
                name: getattr(figures, name)
                for name in (
                    *("ops", "items", "known_before", "drops", "resumes", "resends", "retries"),
                    *("fault_count", "faults", "played_s", "ops_per_s"),
                )
            }
            played["ack_ms"] = {"p50": figures.ack_ms(50), "p99": figures.ack_ms(99)}
        refused = self.recording.refused
        return {
            "good": self.good,
            "file": self.recording.path.name,
            "seed": self.seed,
            "invoices": self.recording.invoices,
            "carts": len(self.plan.carts),
            "sold_rows": len(self.recording.sales),
            "cancelling_rows": len(self.recording.cancellations),
            "played": played,
            "taken_back_pieces": self.plan.covered_pieces,
            "uncovered": self.plan.uncovered,
            "refused_by_reason": Counter(row.reason for row in refused),
            "refused": refused,
            "compared_lines": self.compared_lines,
            "wrong": self.wrong,
            "disagreements": self.discrepancies,
        }

    def write(self, path: Path) -> None:
        """Write the JSON. Raises OSError."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self.as_json()), indent=1) + b"\n")


def _some(entries: list[str]) -> Iterator[str]:
    for entry in entries[:LISTED_MAX]:
        yield f"  {entry}"
    if len(entries) > LISTED_MAX:
        yield f"  … and {len(entries) - LISTED_MAX:,} more: --report FILE lists all"
