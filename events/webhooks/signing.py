"""What goes out: the body, and the headers by which a receiver knows it and that it is ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from storage.times import rfc3339
from storage.webhook_documents import Delivery


def body_of(delivery: Delivery) -> str:
    """`{type, timestamp, data}`; the same bytes at each attempt."""
    head = {"type": delivery.type, "timestamp": rfc3339(delivery.time_ms)}
    return f'{json.dumps(head)[:-1]}, "data": {delivery.data}}}'


def signed_headers(message: str, body: str, secrets: Sequence[str], at_ms: int) -> dict[str, str]:
    """The headers of Standard Webhooks, with a signature by each of the secrets."""
    at = datetime.fromtimestamp(at_ms // 1_000, UTC)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(at_ms // 1_000),
        "webhook-signature": " ".join(Webhook(one).sign(message, at, body) for one in secrets),
    }
