"""Deliveries of webhooks as documents; `storage.webhook_deliveries` says what the fields are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

FORMAT_VERSION: Final = 1
WAITING: Final = "waiting"
DELIVERED: Final = "delivered"
FAILED: Final = "failed"
NOBODYS: Final = ""
"""The claim of a lane that nobody has."""
STATUSES: Final = (WAITING, DELIVERED, FAILED)


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be delivered. Those of a `stream` go out in the order of `sequence`."""

    id: str
    type: str
    key: str
    stream: str
    sequence: int
    time_ms: int
    data: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an attempt: a status with the answer's beginning, or an error's name."""

    at: int
    took_ms: int
    status: int | None
    error: str | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to an endpoint, or what became of it. `turn` is None unless it waits."""

    id: str
    endpoint: str
    message: str
    place: str
    lane: str
    turn: str | None
    type: str
    key: str
    time_ms: int
    data: str
    status: str
    attempts: int
    tries: int
    created_at: int
    give_up_at: int
    next_at: int | None
    done_at: int | None
    last: Answer | None
    sequence: int


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane that somebody has."""

    id: str
    endpoint: str
    claim: str


def message_id(event: str) -> str:
    """What a receiver knows an event by."""
    return f"msg_{hashlib.sha256(event.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def delivery_id(endpoint: str, message: str) -> str:
    return f"{endpoint}:{message}"


def padded(now_ms: int) -> str:
    """A time as text, in whose order times are."""
    return f"{max(now_ms, 0):015d}"


def lane_id(endpoint: str, stream: str) -> str:
    """Of the lane of what is in order with each other at an endpoint."""
    digest = hashlib.sha256(stream.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{endpoint}:{digest[:24]}"


def turn_in(lane: str, sequence: int) -> str:
    """Where in its lane something waits."""
    return f"{lane}:{sequence:020d}"


def beginning(prefix: str) -> dict[str, str]:
    """All texts that begin with `<prefix>:`."""
    return {"$gt": f"{prefix}:", "$lt": f"{prefix};"}


def new_document(
    endpoint: str, message: Message, number: int, now_ms: int, give_up_at: int
) -> dict[str, Any]:
    lane = lane_id(endpoint, message.stream)
    return {
        "_id": delivery_id(endpoint, message.id),
        "endpoint": endpoint,
        "message": message.id,
        "place": f"{endpoint}:{padded(now_ms)}:{number:06d}:{message.id[4:12]}",
        "lane": lane,
        "turn": turn_in(lane, message.sequence),
        "sequence": message.sequence,
        "type": message.type,
        "key": message.key,
        "time_ms": message.time_ms,
        "data": message.data,
        "status": WAITING,
        "attempts": 0,
        "tries": 0,
        "created_at": now_ms,
        "give_up_at": give_up_at,
        "next_at": now_ms,
        "done_at": None,
        "last": None,
        "v": FORMAT_VERSION,
    }


def delivery_of(document: dict[str, Any]) -> Delivery:
    last = document["last"]
    return Delivery(
        id=document["_id"],
        endpoint=document["endpoint"],
        message=document["message"],
        place=document["place"],
        lane=document["lane"],
        turn=document.get("turn"),
        type=document["type"],
        key=document["key"],
        time_ms=document["time_ms"],
        data=document["data"],
        status=document["status"],
        attempts=document["attempts"],
        tries=document["tries"],
        created_at=document["created_at"],
        give_up_at=document["give_up_at"],
        next_at=document["next_at"],
        done_at=document["done_at"],
        last=None if last is None else Answer(**last),
        sequence=document["sequence"],
    )
