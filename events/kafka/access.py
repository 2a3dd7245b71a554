"""How Kafka is reached."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

REQUEST_TIMEOUT_S: Final = 10.0
"""How long one request may take; a broker that is silent for so long is connected anew."""


class _Calm(logging.Filter):
    """aiokafka calls it an error each time that Kafka is away; here that is foreseen."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno == logging.ERROR and not record.exc_info:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


_LOUD: Final = (
    "aiokafka",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
)
for _name in _LOUD:
    logging.getLogger(_name).addFilter(_Calm())


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Servers to begin with, and how to speak with them. `tls` None: in the clear."""

    bootstrap: tuple[str, ...]
    tls: ssl.SSLContext | None = None
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def options(self) -> dict[str, Any]:
        """What every client of aiokafka is told."""
        transport = "PLAINTEXT" if self.tls is None else "SSL"
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.bootstrap),
            "client_id": "cartroom",
            "request_timeout_ms": int(REQUEST_TIMEOUT_S * 1_000),
            "security_protocol": transport,
            "ssl_context": self.tls,
        }
        if self.username is not None:
            options |= {
                "security_protocol": f"SASL_{transport}",
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options
