"""How followers do, by place."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LAG_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400)


class RelayMetrics:
    """Without a registry nothing is exposed."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        label = ("place",)
        self.events = Counter(
            "cartroom_relay_events_total",
            "Events handed over, repeats included",
            label,
            registry=registry,
        )
        self.lag = Histogram(
            "cartroom_relay_lag_seconds",
            "From an op's time until it was handed over; of the oldest of those that go together",
            label,
            buckets=LAG_BUCKETS_S,
            registry=registry,
        )
        self.oldest = Gauge(
            "cartroom_relay_oldest_seconds",
            "Age of the oldest op that was read and is not handed over; 0 when there is none",
            label,
            registry=registry,
        )
        self.active = Gauge(
            "cartroom_relay_active_carts",
            "Carts of ours that may have something to hand over",
            label,
            registry=registry,
        )
        self.round = Histogram(
            "cartroom_relay_round_seconds",
            "One look at all active carts, handing over included",
            label,
            registry=registry,
        )
        self.away = Counter(
            "cartroom_relay_sink_away_total",
            "Times that nothing could be handed over",
            label,
            registry=registry,
        )
        self.stuck = Counter(
            "cartroom_relay_stuck_total",
            "Times that a cart's commits could not be turned into events",
            label,
            registry=registry,
        )
        self.woken = Counter(
            "cartroom_relay_woken_total",
            "Resting carts that had something to hand over after all",
            label,
            registry=registry,
        )
        self.shards = Gauge(
            "cartroom_relay_shards", "Shards of carts that are ours", label, registry=registry
        )
