"""Events of documents that carry their own outbox: products and invitations."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any, Final, Protocol

from events.event import INVITATION, PRODUCT_CHANGED, Event
from events.sink import CartEvents, Sink, SinkAwayError
from storage.mongo import StoreError
from storage.products import options_of
from storage.times import rfc3339
from storage.unsent import Unsent

PAGE: Final = 200
BACKOFF_MAX_S: Final = 15.0
SIZE_BYTES: Final = 2_048
"""About what a document is in memory."""

log = logging.getLogger(__name__)


class Documents(Protocol):
    """Repositories with documents that are to be told of."""

    async def unsent(self, limit: int) -> list[Unsent]: ...

    async def sent(self, told: Sequence[Unsent]) -> None: ...


class Outbox(Protocol):
    """One kind of documents, as a relay sees it."""

    @property
    def documents(self) -> Documents: ...

    def events_of(self, unsent: Unsent) -> list[Event]:
        """What is to be told of a document, in order."""


class ProductOutbox:
    """Products that changed: each is told as it is now."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents

    def events_of(self, unsent: Unsent) -> list[Event]:
        return [product_event(unsent.document)]


def product_event(document: dict[str, Any]) -> Event:
    """The event of a product as it is stored."""
    currency, before = document["currency"], document["compare_at_price"]
    return Event(
        id=f"{document['_id']}:{document['version']}",
        type=PRODUCT_CHANGED,
        subject=document["sku"],
        key=document["sku"],
        sequence=document["version"],
        time_ms=document["changed_at"],
        data={
            "sku": document["sku"],
            "version": document["version"],
            "at": rfc3339(document["changed_at"]),
            "price": {"amount": document["price"], "currency": currency},
            "compare_at_price": (
                None if before is None else {"amount": before, "currency": currency}
            ),
            "options": options_of(document["options"]),
            **{name: document[name] for name in _AS_THEY_ARE},
        },
    )


_AS_THEY_ARE: Final = (
    "name",
    "available",
    "handle",
    "title",
    "description",
    "vendor",
    "category",
    "tags",
    "images",
)


class InvitationOutbox:
    """Invitations, each with all that has become of it since it was told last."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents

    def events_of(self, unsent: Unsent) -> list[Event]:
        return invitation_events(unsent.document)


def invitation_events(document: dict[str, Any]) -> list[Event]:
    """The events of an invitation as it is stored, in order."""
    name, steps = document["name"], document.get("steps", [])
    first = document.get("changes", 0) - len(steps) + 1
    return [
        _invitation_event(name, sequence, json.loads(step))
        for sequence, step in enumerate(steps, first)
    ]


def _invitation_event(name: str, sequence: int, step: dict[str, Any]) -> Event:
    data: dict[str, Any] = {
        "invitation": name,
        "cart": step["cart"],
        "role": step["role"],
        "by": step["by"],
        "at": rfc3339(step["at"]),
        **{key: step[key] for key in ("user", "reason") if key in step},
    }
    if "expires_at" in step:
        data["expires_at"] = rfc3339(step["expires_at"])
    return Event(
        id=f"{name}:{sequence}",
        type=f"{INVITATION}{step['what']}",
        subject=step["cart"],
        key=step["cart"],
        sequence=sequence,
        time_ms=step["at"],
        data=data,
    )


async def relay_some(outbox: Outbox, sink: Sink) -> int:
    """Publish what is to be told of some documents; answers of how many.

    Fewer than there were means that the sink didn't take all. Raises SinkAwayError, and what the
    driver raises when the store is away.
    """
    unsent = await outbox.documents.unsent(PAGE)
    given = [(one, tuple(outbox.events_of(one))) for one in unsent]
    taken = await sink.deliver(
        [CartEvents(one.id, events, SIZE_BYTES) for one, events in given if events]
    )
    told = [one for one, events in given if not events or taken.get(one.id) == events[-1].sequence]
    await outbox.documents.sent(told)
    return len(told)


async def relay(outboxes: Sequence[Outbox], sink: Sink, *, every_s: float) -> None:
    """Publish until cancelled: what there is at once, and from then on every `every_s`."""
    backoff_s = every_s
    while True:
        try:
            told = [await relay_some(outbox, sink) for outbox in outboxes]
        except (SinkAwayError, StoreError) as error:
            log.warning("Events of documents wait: %s", type(error).__name__)
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
        except Exception:
            log.exception("Events of documents can't be made")
            backoff_s = BACKOFF_MAX_S
        else:
            backoff_s = every_s
            if any(told):
                continue  # there may be more
        await asyncio.sleep(backoff_s)
