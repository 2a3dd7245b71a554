"""What mail counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class MailMetrics:
    """Mails by kind and what became of them.

    Each ends as `sent`, `failed` (for good), `dropped` (no room, or no time at the end) or
    `forgotten` (whom it concerned is gone). `retried` counts attempts that will be repeated.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.mails = Counter(
            "cartroom_mails_total", "Mails by result", ("kind", "result"), registry=registry
        )
        self.waiting = Gauge(
            "cartroom_mails_waiting", "Mails that have not left yet", registry=registry
        )
