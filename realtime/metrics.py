"""What the live rooms count, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from realtime.messages import REQUEST_TYPES
from realtime.tallies import Distribution, Tally, TallyByLabel

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class RealtimeMetrics:
    """One application's instruments, in its own registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.sockets = Gauge("cartroom_sockets", "Open sockets", registry=registry)
        self.rooms = Gauge("cartroom_rooms", "Carts held open", registry=registry)
        self.commits_pending = Gauge(
            "cartroom_commits_pending", "Commits without an outcome yet", registry=registry
        )
        self.requests_waiting = Gauge(
            "cartroom_requests_waiting", "Ops in rooms without an answer yet", registry=registry
        )
        self.requests = TallyByLabel(
            "cartroom_requests",
            "Requests over sockets",
            "type",
            [request.__name__ for request in REQUEST_TYPES],
            registry,
        )
        self.errors = Counter(
            "cartroom_errors_total", "Errors sent over sockets", ["code"], registry=registry
        )
        self.closes = Counter(
            "cartroom_closes_total", "Sockets closed by us", ["name"], registry=registry
        )
        self.ops_committed = Tally("cartroom_ops_committed", "Ops made durable", registry)
        self.op_seconds = Distribution(
            "cartroom_op_seconds", "From an op's arrival to its answer", _SECONDS, registry
        )
        self.commit_seconds = Distribution(
            "cartroom_commit_seconds",
            "From a commit's start to the store's word",
            _SECONDS,
            registry,
        )
        self.commit_batch = Histogram(
            "cartroom_commit_batch",
            "Commits an insert",
            buckets=(1, 2, 5, 10, 25, 50, 100, 250),
            registry=registry,
        )
        self.races_lost = Counter(
            "cartroom_races_lost_total", "Commits that lost to another instance", registry=registry
        )
        self.outcomes_unknown = Counter(
            "cartroom_outcomes_unknown_total", "Inserts without a clean word", registry=registry
        )
        self.fell_behind = Counter(
            "cartroom_fell_behind_total", "Sockets that did not keep up", registry=registry
        )
        self.snapshots = Counter(
            "cartroom_snapshots_total", "Snapshots by result", ["result"], registry=registry
        )


class FanOut(Protocol):
    """What a bus counts: messages, but for `queue_bytes`."""

    @property
    def fresh(self) -> bool: ...
    @property
    def published(self) -> int: ...
    @property
    def received(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def queue_depth(self) -> int: ...


class FanOutMetrics(Collector):
    """Shows what a bus counts; it is asked at each scrape."""

    def __init__(self, bus: FanOut) -> None:
        self._bus = bus

    def collect(self) -> Iterator[Metric]:
        bus = self._bus
        messages = CounterMetricFamily(
            "cartroom_fanout_messages", "Messages between instances", labels=["what"]
        )
        messages.add_metric(["published"], bus.published)
        messages.add_metric(["received"], bus.received)
        messages.add_metric(["dropped"], bus.dropped)
        yield messages
        yield CounterMetricFamily(
            "cartroom_fanout_errors", "Failures on the way between instances", value=bus.errors
        )
        yield GaugeMetricFamily(
            "cartroom_fanout_queue", "Messages waiting to be published", value=bus.queue_depth
        )
        yield GaugeMetricFamily(
            "cartroom_fanout_fresh",
            "1 while our lease holds and our inbox is read, else 0",
            value=float(bus.fresh),
        )
