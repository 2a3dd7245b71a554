"""Events as Kafka records and back: CloudEvents 1.0, Kafka protocol binding, binary mode.

Attributes are headers `ce_…`, the value is the data. `sequence` is padded with zeros: that
extension is ordered as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from events.event import Event
from storage.times import rfc3339

CONTENT_TYPE: Final = "application/json"
SEQUENCE_DIGITS: Final = 16

Headers = list[tuple[str, bytes | None]]
"""Ours have values; what others write may have none."""


class NotAnEventError(ValueError):
    """A record is no event of ours. The message says why."""


@dataclass(frozen=True, slots=True)
class Encoded:
    key: bytes
    value: bytes
    headers: Headers


class Encoder:
    """`source` is who tells; schemas are found below `schemas_url`, unless that is unknown."""

    def __init__(self, source: str, schemas_url: str | None = None) -> None:
        self._source = source.encode()
        self._schemas_url = schemas_url
        self._json = msgspec.json.Encoder()
        self._by_type: dict[str, Headers] = {}

    def encode(self, event: Event) -> Encoded:
        key = event.key.encode()
        headers = [
            *self._headers_of(event.type),
            ("ce_id", event.id.encode()),
            ("ce_subject", event.subject.encode()),
            ("ce_time", rfc3339(event.time_ms).encode()),
            ("ce_sequence", b"%0*d" % (SEQUENCE_DIGITS, event.sequence)),
            ("ce_partitionkey", key),
        ]
        return Encoded(key, self._json.encode(event.data), headers)

    def _headers_of(self, type_: str) -> Headers:
        known = self._by_type.get(type_)
        if known is None:
            known = [
                ("content-type", CONTENT_TYPE.encode()),
                ("ce_specversion", b"1.0"),
                ("ce_type", type_.encode()),
                ("ce_source", self._source),
            ]
            if self._schemas_url is not None:
                schema = f"{self._schemas_url}{type_}.json"
                known.append(("ce_dataschema", schema.encode()))
            self._by_type[type_] = known
        return known


def decode(value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> Event:
    """The event that a record is. Raises NotAnEventError."""
    try:
        given = {
            name: text.decode()
            for name, text in headers
            if name.startswith("ce_") and text is not None
        }
        if given.get("ce_specversion") != "1.0":
            raise NotAnEventError(f"not CloudEvents 1.0: {given.get('ce_specversion', 'nothing')}")
        data: Any = msgspec.json.decode(value or b"")
        if not isinstance(data, dict):
            raise NotAnEventError("the data is no JSON object")
        return Event(
            id=given["ce_id"],
            type=given["ce_type"],
            subject=given["ce_subject"],
            key=given["ce_partitionkey"],
            sequence=int(given["ce_sequence"]),
            time_ms=_milliseconds(given["ce_time"]),
            data=data,
        )
    except KeyError as error:
        raise NotAnEventError(f"without the header {error.args[0]}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotAnEventError(f"can't be read: {error}") from error
    except NotAnEventError:
        raise
    except ValueError as error:
        raise NotAnEventError(f"a header can't be read: {error}") from error


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise NotAnEventError("a time without a zone")
    return round((moment - datetime.fromtimestamp(0, UTC)).total_seconds() * 1_000)
