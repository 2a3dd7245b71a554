"""How webhooks do. By result alone: endpoints come and go, and series would stay."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

TOOK_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)


class WebhookMetrics:
    """Without a registry nothing is exposed."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.attempts = Counter(
            "cartroom_webhook_attempts_total",
            "Webhooks sent, by what became of it: delivered, retried or failed",
            ("result",),
            registry=registry,
        )
        self.took = Histogram(
            "cartroom_webhook_attempt_seconds",
            "From asking for a connection until there was an answer, or an error",
            buckets=TOOK_BUCKETS_S,
            registry=registry,
        )
        self.sending = Gauge("cartroom_webhook_sending", "Webhooks being sent", registry=registry)
        self.disabled = Counter(
            "cartroom_webhook_disabled_total",
            "Endpoints switched off, by why: gone, failing or overflow",
            ("reason",),
            registry=registry,
        )
