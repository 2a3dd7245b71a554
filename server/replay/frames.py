"""What comes from the server, as far as a replay looks at it. Keys not named here are ignored."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from realtime.limits import Limits


class SeenOp(msgspec.Struct, frozen=True):
    """A committed op, pushed or resumed."""

    rev: int
    op_id: str | None = None


class LineInCart(msgspec.Struct, frozen=True):
    line: str
    sku: str
    qty: int


class CartContent(msgspec.Struct, frozen=True):
    lines: tuple[LineInCart, ...]


class ItemResult(msgspec.Struct, frozen=True):
    line: str | None = None
    qty: int | None = None


class Frame(msgspec.Struct, frozen=True):
    """Any reply or push: the union of their fields."""

    type: str
    id: int | None = None
    cart: str = ""
    rev: int = 0
    at: str = ""
    op: msgspec.Raw = msgspec.Raw(b"null")
    ops: tuple[SeenOp, ...] | None = None
    state: msgspec.Raw = msgspec.Raw(b"null")
    results: tuple[ItemResult, ...] | None = None
    code: str | int = ""
    message: str = ""
    temporary: bool = False
    retry_after_s: float = 0.0
    reason: str = ""
    heartbeat_s: float = 0.0
    limits: Limits | None = None

    def content(self) -> CartContent:
        """The cart in `state`."""
        return _content.decode(self.state)

    def answer(self) -> tuple[Any, ...]:
        """What a resent op must be answered with again, to the letter."""
        return (self.rev, self.at, bytes(self.op), self.results)


_content: Final = msgspec.json.Decoder(CartContent)
decode: Final = msgspec.json.Decoder(Frame).decode
encode: Final = msgspec.json.Encoder().encode
