"""Events of documents that carry their own outbox: products and invitations."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from events.event import INVITATION, PRODUCT_CHANGED, Event
from events.sink import CartEvents, Sink, SinkAwayError
from storage.mongo import StoreError
from storage.products import options_of
from storage.times import rfc3339
from storage.unsent import Place, Unsent

PAGE: Final = 200
GENTLE_PAGE: Final = 32
"""The embedded store does one thing at a time: commits wait while it writes."""
GENTLE_WAIT: Final = 4.0
BACKOFF_MAX_S: Final = 15.0
SIZE_BYTES: Final = 2_048
"""About what a document is in memory."""

log = logging.getLogger(__name__)


class Documents(Protocol):
    """Repositories with documents that are to be told of."""

    async def unsent(self, limit: int, place: Place) -> list[Unsent]: ...

    async def sent(self, told: Sequence[Unsent], place: Place) -> None: ...


class Outbox(Protocol):
    """One kind of documents, as who tells a place of them sees it."""

    @property
    def documents(self) -> Documents: ...

    @property
    def place(self) -> Place: ...

    def events_of(self, unsent: Unsent) -> list[Event]:
        """What is to be told of a document, in order."""


class ProductOutbox:
    """Products that changed: each is told as it is now."""

    def __init__(self, documents: Documents, place: Place = Place.RELAY) -> None:
        self.documents = documents
        self.place = place

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

    def __init__(self, documents: Documents, place: Place = Place.RELAY) -> None:
        self.documents = documents
        self.place = place

    def events_of(self, unsent: Unsent) -> list[Event]:
        events = invitation_events(unsent.document)
        return [event for event in events if event.sequence > unsent.told]


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


async def relay_some(outbox: Outbox, sink: Sink, page: int | None = None) -> int:
    """Tell of some documents, at most `page`; answers of how many.

    Fewer than there were means that the sink didn't take all. Raises SinkAwayError, and what the
    driver raises when the store is away.
    """
    unsent = await outbox.documents.unsent(page or PAGE, outbox.place)
    given = [(one, tuple(outbox.events_of(one))) for one in unsent]
    taken = await sink.deliver(
        [CartEvents(one.id, events, SIZE_BYTES) for one, events in given if events]
    )
    told = [one for one, events in given if not events or taken.get(one.id) == events[-1].sequence]
    await outbox.documents.sent(told, outbox.place)
    return len(told)


def always() -> bool:
    return True


async def relay(
    outboxes: Sequence[Outbox],
    sink: Sink,
    *,
    every_s: float,
    gentle: bool = False,
    ours: Callable[[], bool] = always,
) -> None:
    """Tell until cancelled: what there is at once, and from then on every `every_s`.

    If `gentle`, a little at a time, with waits between. While it isn't `ours`, nothing.
    """
    page, loop = GENTLE_PAGE if gentle else PAGE, asyncio.get_running_loop()
    backoff_s = every_s
    while True:
        began_s = loop.time()
        try:
            told = [await relay_some(one, sink, page) for one in outboxes if ours()]
        except (SinkAwayError, StoreError) as error:
            log.warning("Events of documents wait: %s", type(error).__name__)
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
        except Exception:
            log.exception("Events of documents can't be made")
            backoff_s = BACKOFF_MAX_S
        else:
            backoff_s = every_s
            if any(told):  # there may be more
                if gentle:
                    await asyncio.sleep((loop.time() - began_s) * GENTLE_WAIT)
                continue
        await asyncio.sleep(backoff_s)
