"""What the live rooms count, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
        self.bus_queue = Gauge(
            "cartroom_bus_queue", "Messages waiting to go to other instances", registry=registry
        )
        self.requests = Counter(
            "cartroom_requests_total", "Requests over sockets", ["type"], registry=registry
        )
        self.errors = Counter(
            "cartroom_errors_total", "Errors sent over sockets", ["code"], registry=registry
        )
        self.closes = Counter(
            "cartroom_closes_total", "Sockets closed by us", ["name"], registry=registry
        )
        self.ops_committed = Counter(
            "cartroom_ops_committed_total", "Ops made durable", registry=registry
        )
        self.op_seconds = Histogram(
            "cartroom_op_seconds",
            "From an op's arrival to its answer",
            buckets=_SECONDS,
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "cartroom_commit_seconds",
            "From a commit's start to the store's word",
            buckets=_SECONDS,
            registry=registry,
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
