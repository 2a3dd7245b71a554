"""What a replay counts and times, and the faults it meets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

FAULTS_KEPT_MAX: Final = 1_000
"""Faults kept word for word; further ones are only counted."""


@dataclass(slots=True)
class Figures:
    """Counted while playing. A fault is anything that the contract doesn't allow."""

    ops: int = 0
    items: int = 0
    drops: int = 0
    resumes: int = 0
    resends: int = 0
    known_before: int = 0
    """Ops that were recorded before this replay sent them: an earlier one did."""
    retries: int = 0
    """Temporary errors, after which the op was sent again."""
    fault_count: int = 0
    faults: list[str] = field(default_factory=list)
    ack_s: list[float] = field(default_factory=list)
    """From sending an op to its ok, each time."""
    played_s: float = 0.0

    def fault(self, text: str) -> None:
        self.fault_count += 1
        if len(self.faults) < FAULTS_KEPT_MAX:
            self.faults.append(text)

    @property
    def ops_per_s(self) -> float:
        return self.ops / self.played_s if self.played_s else 0.0

    def ack_ms(self, percent: float) -> float:
        """The percentile of the acknowledgement times, in milliseconds; 0 without any."""
        if not self.ack_s:
            return 0.0
        ranked = sorted(self.ack_s)
        return 1000 * ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]
