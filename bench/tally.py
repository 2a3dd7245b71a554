"""What a measured stretch of load counts."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field

from bench.figures import distribution_ms


@dataclass(slots=True)
class Sample:
    """An op whose way to the other sockets is timed."""

    scheduled_s: float
    instance: int


@dataclass(slots=True)
class Tally:
    """Counts of the ops scheduled at or after `start_s`. Times are `perf_counter`'s."""

    start_s: float = 0.0
    sent: int = 0
    sent_bytes: int = 0
    lag_s: list[float] = field(default_factory=list)
    """How much later than scheduled each op was sent."""
    ack_s: list[float] = field(default_factory=list)
    ack_bytes: int = 0
    acked_at: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By instance, when the `ok`s came."""
    pushes: int = 0
    push_bytes: int = 0
    deliveries: int = 0
    """Ops that came in pushes, each as often as it came."""
    samples: dict[bytes, Sample] = field(default_factory=dict)
    """By op_id."""
    within_s: list[float] = field(default_factory=list)
    """From a sampled op's scheduled time to a push of it on the instance that took it."""
    across_s: list[float] = field(default_factory=list)
    """The same, on another instance."""

    def on_ack(self, instance: int, scheduled_s: float, now_s: float, size: int) -> None:
        if scheduled_s >= self.start_s:
            self.ack_s.append(now_s - scheduled_s)
            self.ack_bytes += size
            self.acked_at[instance].append(now_s)

    @property
    def ops_per_s(self) -> float:
        """Acknowledged ops over the time until the last of these acknowledgements."""
        last_s = max((times[-1] for times in self.acked_at.values()), default=self.start_s)
        return len(self.ack_s) / (last_s - self.start_s) if last_s > self.start_s else 0.0

    def longest_pause_s(self, instance: int) -> float:
        """The longest time that an instance acknowledged nothing, from the start on."""
        times = [self.start_s, *self.acked_at[instance]]
        pauses = (after_s - before_s for before_s, after_s in itertools.pairwise(times))
        return max(pauses, default=float("inf"))

    def figures(self) -> dict[str, object]:
        acked = len(self.ack_s)
        return {
            "sent": self.sent,
            "acked": acked,
            "not_acked": self.sent - acked,
            "ops_per_s": round(self.ops_per_s, 1),
            "ack_ms": distribution_ms(self.ack_s),
            "delivery_ms": distribution_ms(self.within_s + self.across_s),
            "delivery_within_ms": distribution_ms(self.within_s),
            "delivery_across_ms": distribution_ms(self.across_s),
            "lag_ms": distribution_ms(self.lag_s),
            "deliveries": self.deliveries,
            "request_bytes": round(self.sent_bytes / self.sent) if self.sent else 0,
            "ack_bytes": round(self.ack_bytes / acked) if acked else 0,
            "push_bytes": round(self.push_bytes / self.pushes) if self.pushes else 0,
        }
