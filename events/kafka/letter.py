"""A dead letter: a record that a consumer of ours could make nothing of, with why and whence.

On the topic of dead letters its key is the place where it came from, so that the same one put there
twice is one; what it was is in its value and headers, the rest in headers `dead_letter_…`. The
same key without a value says that it was put back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from events.kafka.codec import Headers

OURS: Final = "dead_letter_"
REASON_MAX: Final = 1_000


class NotALetterError(ValueError):
    """A record on the topic of dead letters is none."""


@dataclass(frozen=True, slots=True)
class Letter:
    """`number` is its offset on the topic of dead letters, None before it is there."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    reason: str
    at: str
    number: int | None = None

    @property
    def place(self) -> bytes:
        """Where it came from: its key among dead letters."""
        return f"{self.topic}/{self.partition}/{self.offset}".encode()

    def header(self, name: str) -> str:
        """A header of the record that it was, empty without one."""
        found = dict(self.headers).get(name)
        return (found or b"").decode("utf-8", "replace")


def letter_of(record: Any, reason: str, at: str) -> Letter:
    """A letter of a consumed record. `at` is now."""
    return Letter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=_without_ours(record.headers),
        reason=reason[:REASON_MAX],
        at=at,
    )


def headers_of(letter: Letter) -> Headers:
    """The headers of the letter's own record."""
    ours = {
        "reason": letter.reason.encode("utf-8", "replace"),
        "topic": letter.topic.encode(),
        "partition": b"%d" % letter.partition,
        "offset": b"%d" % letter.offset,
        "at": letter.at.encode(),
    }
    if letter.key is not None:
        ours["key"] = letter.key
    if letter.value is None:
        ours["no_value"] = b"1"
    return [*letter.headers, *((f"{OURS}{name}", held) for name, held in ours.items())]


def read_letter(record: Any) -> Letter:
    """The letter that a record among dead letters is. Raises NotALetterError."""
    ours = {
        name[len(OURS) :]: held
        for name, held in record.headers
        if name.startswith(OURS) and held is not None
    }
    try:
        return Letter(
            topic=ours["topic"].decode(),
            partition=int(ours["partition"]),
            offset=int(ours["offset"]),
            key=ours.get("key"),
            value=None if "no_value" in ours else record.value,
            headers=_without_ours(record.headers),
            reason=ours["reason"].decode("utf-8", "replace"),
            at=ours["at"].decode(),
            number=record.offset,
        )
    except (KeyError, ValueError) as error:
        raise NotALetterError(f"the record {record.offset} is no dead letter") from error


def _without_ours(
    headers: Iterable[tuple[str, bytes | None]],
) -> tuple[tuple[str, bytes | None], ...]:
    return tuple((name, held) for name, held in headers if not name.startswith(OURS))
