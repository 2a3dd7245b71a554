"""Metrics of the process and of HTTP. The room's are in `realtime.metrics`."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

LATENCY_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def create_registry() -> CollectorRegistry:
    """A registry of this application's own, with what is known of the process and its memory.

    The library's global registry would make two applications in one process count as one.
    """
    # A time of birth for each series would double their number.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class HttpMetrics:
    """Requests by route template, so that the number of series is that of the routes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "cartroom_http_requests_total",
            "Requests answered",
            ("route", "method", "status"),
            registry=registry,
        )
        self.latency = Histogram(
            "cartroom_http_request_seconds",
            "Time to answer, sockets aside",
            ("route", "method"),
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.in_flight = Gauge(
            "cartroom_http_requests_in_flight",
            "Requests being answered, sockets aside",
            registry=registry,
        )
        self.unreadable = Counter(
            "cartroom_http_unreadable_total",
            "Requests that were no HTTP, or beyond its limits",
            registry=registry,
        )
        self.passwords_pending = Gauge(
            "cartroom_passwords_pending",
            "Passwords being hashed or waiting for it",
            registry=registry,
        )


HTTP_METRICS = web.AppKey("http_metrics", HttpMetrics)
