"""Our topics: which there are, what goes where, and how they are made when they are missing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]
from aiokafka.errors import BrokerResponseError, KafkaError, TopicAlreadyExistsError, for_code  # type: ignore[import-untyped]

from events.event import CART, INVITATION, PRODUCT_CHANGED
from events.kafka.access import KafkaAccess
from events.kafka.clients import start, to_the_end

MESSAGE_BYTES_MAX: Final = 2 * 1024 * 1024
"""A topic of ours takes batches up to this: one event is below 1 MiB, and batches are smaller."""
LETTER_BYTES_MAX: Final = 64 * 1024
"""What a dead letter may say beside the record that it was; see letter.py."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Topics:
    """Names by prefix, and how topics are made. Those that exist are left as they are.

    `partitions` are those of events; dead letters have one partition, whose offsets number them.
    """

    prefix: str = "cartroom."
    partitions: int = 12
    replication: int = 1
    retention_s: int = 604_800
    dead_letters_retention_s: int = 2_592_000

    @property
    def carts(self) -> str:
        """What was done in carts and with invitations to them, by cart."""
        return f"{self.prefix}carts"

    @property
    def products(self) -> str:
        """Changed products, by sku."""
        return f"{self.prefix}products"

    @property
    def dead_letters(self) -> str:
        """What a consumer of ours could make nothing of."""
        return f"{self.prefix}dead-letters"

    def topic_of(self, type_: str) -> str:
        """Where events of a type go."""
        if type_ == PRODUCT_CHANGED:
            return self.products
        if type_.startswith((CART, INVITATION)):
            return self.carts
        raise ValueError(f"no topic for events of type {type_}")

    def new(self) -> list[NewTopic]:
        """All of them, as they are made."""
        both = {
            "max.message.bytes": str(MESSAGE_BYTES_MAX),
            # With three copies one may be away, and what was acknowledged is in two.
            "min.insync.replicas": str(min(2, max(1, self.replication - 1))),
        }
        events = {
            **both,
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_s * 1_000),
        }
        letters = {
            **both,
            "max.message.bytes": str(MESSAGE_BYTES_MAX + LETTER_BYTES_MAX),
            # A letter that was put back is overwritten by nothing; see letter.py.
            "cleanup.policy": "compact,delete",
            "retention.ms": str(self.dead_letters_retention_s * 1_000),
        }
        return [
            self._new(self.carts, self.partitions, events),
            self._new(self.products, self.partitions, events),
            self._new(self.dead_letters, 1, letters),
        ]

    def _new(self, name: str, partitions: int, config: dict[str, str]) -> NewTopic:
        return NewTopic(name, partitions, self.replication, topic_configs=config)


async def create_topics(access: KafkaAccess, topics: Topics) -> None:
    """Create what is missing; doing it again, also at the same time elsewhere, changes nothing.

    Raises KafkaError when Kafka is away, and when it refuses.
    """
    admin = AIOKafkaAdminClient(**access.options())
    try:
        await start(admin)
        there = set(await admin.list_topics())
        missing = [topic for topic in topics.new() if topic.name not in there]
        if missing:
            _check(await admin.create_topics(missing))
            log.info("Topics created", extra={"topics": [topic.name for topic in missing]})
    except TimeoutError as error:
        raise KafkaError("no controller answers") from error
    finally:
        await to_the_end(admin.close())


def _check(response: Any) -> None:
    for name, code, *_ in response.topic_errors:
        error: type[BrokerResponseError] = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"topic {name} can't be created")
