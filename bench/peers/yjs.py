"""How a seat speaks with Hocuspocus: y-protocols in binary frames, with Yjs updates made here.

A seat adds a piece by raising its own counter of that sku, an entry of the map `lines`. It only
ever overwrites its own entries, so of Yjs' update format (version 1) one struct and one deletion
are all that it needs.
"""

from __future__ import annotations

import json
import random
import secrets

from bench.peers.room_load import Room, Seat, Tally, WrongResultError
from bench.socket_client import BINARY

SYNC, AUTH, STATELESS, SYNC_STATUS = 0, 2, 5, 8
TOKEN, AUTHENTICATED = 0, 2
STEP_1, STEP_2, UPDATE = 0, 1, 2
# A struct's first byte: its content's kind, and which fields follow.
CONTENT_ANY, HAS_SUB_KEY, HAS_ORIGIN = 8, 0x20, 0x80
ROOT_TYPE, ONE = 1, 1
ANY_INTEGER = 125
EMPTY_STATE = b"\x00"
CLIENT_BYTES = 5


def varuint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(0x80 | (number & 0x7F))
        number >>= 7
    out.append(number)
    return bytes(out)


def varint(number: int) -> bytes:
    """A number from 0 up, as lib0 writes signed ones: six bits in the first byte."""
    if number < 0x40:
        return bytes((number,))
    return bytes((0x80 | (number & 0x3F),)) + varuint(number >> 6)


def varstring(text: str) -> bytes:
    encoded = text.encode()
    return varuint(len(encoded)) + encoded


def read_varuint(frame: bytes, at: int) -> tuple[int, int]:
    """The number at a position, and the position after it."""
    number = shift = 0
    while True:
        byte = frame[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def map_update(client: bytes, clock: int, key: str, value: int, previous: int | None) -> bytes:
    """An update that writes `lines[key] = value`, over this client's own entry at `previous`."""
    struct = bytearray((ONE, ONE)) + client + varuint(clock)
    if previous is None:
        struct += bytes((CONTENT_ANY | HAS_SUB_KEY, ROOT_TYPE)) + varstring("lines")
        struct += varstring(key)
    else:
        struct += bytes((CONTENT_ANY | HAS_SUB_KEY | HAS_ORIGIN,)) + client + varuint(previous)
    struct += bytes((ONE, ANY_INTEGER)) + varint(value)
    if previous is None:
        return bytes(struct) + b"\x00"
    return bytes(struct) + bytes((ONE,)) + client + bytes((ONE,)) + varuint(previous) + b"\x01"


class HocuspocusSeat(Seat):
    """Each message names its document. The server sends every update to everybody, its sender
    too, and acknowledges with a SyncStatus that names nothing: they come in order."""

    def __init__(self, tally: Tally, room: Room, number: int, ops_max: int | None) -> None:
        super().__init__(tally, room, number, ops_max)
        # In the range whose encoding has five bytes, like nearly all of the ids that Yjs draws.
        self.client = varuint(random.randrange(1 << 28, 1 << 32))
        self._prefix = b""
        self._clock = 0
        self._entries: dict[str, tuple[int, int]] = {}

    async def join(self) -> None:
        self.room.id = self.room.id or f"crt_{secrets.token_hex(12)}"
        self._prefix = varstring(self.room.id)
        self._send(bytes((AUTH, TOKEN)) + varstring("none"))
        await self.answer(AUTH)
        self._send(bytes((SYNC, STEP_1)) + varuint(len(EMPTY_STATE)) + EMPTY_STATE)
        await self.answer(SYNC)

    def _send(self, message: bytes) -> None:
        self.send(self._prefix + message, BINARY)

    def send_add(self, n: int, sku: str) -> object:
        previous, value = self._entries.get(sku, (None, 0))
        clock, self._clock = self._clock, self._clock + 1
        self._entries[sku] = (clock, value + 1)
        update = map_update(self.client, clock, f"{sku}:{self.number}", value + 1, previous)
        self._send(bytes((SYNC, UPDATE)) + varuint(len(update)) + update)
        return self.client + varuint(clock)

    def on_frame(self, frame: bytes) -> None:
        at = len(self._prefix)
        kind = frame[at]
        if kind == SYNC_STATUS:
            self._on_status(frame[at + 1] == 1)
        elif kind == SYNC and frame[at + 1] == UPDATE:
            self._on_update(frame, at + 2)
        elif kind == SYNC:
            # The server's step 1 asks for what we have that it hasn't: nothing.
            if frame[at + 1] == STEP_2:
                self.answered(SYNC, frame)
        elif kind == AUTH and frame[at + 1] == AUTHENTICATED:
            self.answered(AUTH, frame)
        elif kind == STATELESS:
            self.answered(STATELESS, frame[read_varuint(frame, at + 1)[1] :])
        else:
            self.tally.faults.append(frame.hex())

    def _on_status(self, applied: bool) -> None:
        if applied and self.waiting:
            self.acknowledged(next(iter(self.waiting)))
        else:
            self.tally.faults.append("an update was not applied")

    def _on_update(self, frame: bytes, at: int) -> None:
        _, at = read_varuint(frame, at)
        if frame[at : at + 2] != b"\x01\x01":
            self.tally.faults.append(f"more than one op in an update: {frame.hex()}")
            return
        start, after = at + 2, at + 2 + CLIENT_BYTES
        if frame[start:after] != self.client:
            self.delivered(frame[start : read_varuint(frame, after)[1]])

    async def read_pieces(self) -> int:
        self._send(bytes((STATELESS,)) + varstring("pieces"))
        answer = json.loads(await self.answer(STATELESS))
        if "pieces" not in answer:
            raise WrongResultError(f"Hocuspocus answered {answer}")
        return int(answer["pieces"])
