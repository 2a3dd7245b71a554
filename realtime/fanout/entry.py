"""What one stream entry holds: everything of one round that one other instance is to know.

An entry is a MessagePack array `[version, sender, number, items]`; an item is `[cart, kind,
body]`. What is for every instance, and about no cart, names `EVERYONE` in the cart's place.
`number` counts the entries from this sender to this inbox, so that the reader notices a lost one
even when nothing more is committed to the cart that it was about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

VERSION: Final = 1

COMMIT: Final = 0
SIGNAL: Final = 1
ANNOUNCEMENT: Final = 2

EVERYONE: Final = ""
"""No cart's id."""

# Redis and the reader's loop take small entries better; a larger single item still goes alone.
ENTRY_BYTES_MAX: Final = 4 * 1024 * 1024

# What an item costs in an entry, and as an object in a queue, beside its cart and body.
ITEM_OVERHEAD_BYTES: Final = 64


class Item(NamedTuple):
    """A commit (BSON of the log's document) or a signal (MessagePack of a map) about one cart.

    An announcement is a MessagePack map, too, about no cart.
    """

    cart: str
    kind: int
    body: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.cart) + len(self.body) + ITEM_OVERHEAD_BYTES


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    sender: str
    number: int
    items: list[Item]


class MalformedEntryError(Exception):
    """An entry, or a signal in it, isn't what this version writes."""


_encoder: Final = msgspec.msgpack.Encoder()
_entries: Final = msgspec.msgpack.Decoder(Entry)
_signals: Final = msgspec.msgpack.Decoder(dict[str, object])


def encode_entry(sender: str, number: int, items: list[Item]) -> bytes:
    return _encoder.encode(Entry(VERSION, sender, number, items))


def decode_entry(payload: bytes) -> Entry:
    """Raise MalformedEntryError for anything that `encode_entry` of this version didn't make."""
    try:
        entry = _entries.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEntryError("not a fan-out entry") from error
    if entry.version != VERSION:
        raise MalformedEntryError(f"version {entry.version}, expected {VERSION}")
    if any(item.kind not in (COMMIT, SIGNAL, ANNOUNCEMENT) for item in entry.items):
        raise MalformedEntryError("unknown kind of item")
    return entry


def encode_signal(payload: dict[str, object]) -> bytes:
    """Raise TypeError, ValueError or OverflowError for what MessagePack can't say."""
    return _encoder.encode(payload)


def decode_signal(body: bytes) -> dict[str, object]:
    """Raise MalformedEntryError unless the body is a map with text keys."""
    try:
        return _signals.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEntryError("not a signal") from error


def split(items: Iterable[Item], entry_bytes_max: int = ENTRY_BYTES_MAX) -> Iterator[list[Item]]:
    """Cut into runs, in order, that each fit an entry. None is empty; a large item goes alone."""
    run: list[Item] = []
    run_bytes = 0
    for item in items:
        size_bytes = item.size_bytes
        if run and run_bytes + size_bytes > entry_bytes_max:
            yield run
            run, run_bytes = [], 0
        run.append(item)
        run_bytes += size_bytes
    if run:
        yield run
