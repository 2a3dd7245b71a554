"""The one table of errors and the one table of close codes.

Every refusal that leaves the service, over the socket or over REST, is a row of `ERRORS`;
`protocol.md` prints the same rows and a test compares them. Handlers raise `CartroomError`
and one mapper a door turns it into a reply. Text of unexpected exceptions never leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A row of the table.

    `temporary` means: no effect so far, send the same again. Otherwise: no effect, ever.
    """

    code: str
    http_status: int
    temporary: bool
    meaning: str


_ROWS: Final = (
    ErrorCode("bad_request", 400, False, "The message can't be understood; it says what was wrong"),
    ErrorCode("unauthorized", 401, False, "Not signed in, or the token is forged or has ended"),
    ErrorCode("forbidden", 403, False, "Not allowed with your role, or from where you are"),
    ErrorCode(
        "not_found", 404, False, "No such cart, line, member, product or page, or not for you"
    ),
    ErrorCode("conflict", 409, False, "It contradicts what is already recorded"),
    ErrorCode("rate_limited", 429, True, "Too much at once; wait `retry_after_s`"),
    ErrorCode("too_large", 413, False, "Larger than the limit that the message names"),
    ErrorCode("unavailable", 503, True, "It can't be done right now; try again"),
    ErrorCode("internal", 500, False, "A fault of ours; it has been logged"),
    ErrorCode("unknown_sku", 422, False, "No product has this sku, or not in the cart's currency"),
    ErrorCode("out_of_stock", 422, False, "Fewer pieces are available than the cart would hold"),
    ErrorCode("limit_exceeded", 422, False, "The cart would grow past a limit of `welcome.limits`"),
    ErrorCode("cart_locked", 423, False, "The cart is being paid for and can't change now"),
    ErrorCode("cart_closed", 410, False, "The cart has been ordered and can't change any more"),
)

ERRORS: Final[dict[str, ErrorCode]] = {row.code: row for row in _ROWS}


class CartroomError(Exception):
    """A refusal with a code of `ERRORS`, a sentence for a person, and further fields to send.

    `extra` must hold JSON values only; it is merged into the reply.
    """

    def __init__(self, code: str, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.extra = extra

    @property
    def temporary(self) -> bool:
        return ERRORS[self.code].temporary

    @property
    def http_status(self) -> int:
        return ERRORS[self.code].http_status

    def as_dict(self) -> dict[str, Any]:
        """The error's fields as they go onto the wire, without `id` and `type`."""
        return {
            "code": self.code,
            "message": self.message,
            "temporary": self.temporary,
            **self.extra,
        }


def store_silent() -> CartroomError:
    """What everybody is told who waited for the store in vain."""
    return CartroomError("unavailable", "The store does not answer; try again.")


def our_fault() -> CartroomError:
    """What is told of an unexpected exception, whose text goes to the log only."""
    return CartroomError("internal", "This failed on our side; it has been logged.")


@dataclass(frozen=True, slots=True)
class CloseCode:
    """Why a socket was closed. 4000-4499: connect again. 4500-4999: don't, until something changes.

    The standard's own codes (RFC 6455, section 7.4.1) keep their meaning; of those, reconnect
    after 1001, 1006, 1011, 1012 and 1013.
    """

    code: int
    name: str
    meaning: str

    @property
    def reconnect(self) -> bool:
        return self.code in (1001, 1006, 1011, 1012, 1013) or 4000 <= self.code < 4500


NORMAL: Final = CloseCode(1000, "normal", "You closed the connection")
DRAINING: Final = CloseCode(1001, "draining", "This server is shutting down; `goodbye` came before")
PROTOCOL_ERROR: Final = CloseCode(1002, "protocol_error", "Not a WebSocket frame (RFC 6455)")
UNSUPPORTED_DATA: Final = CloseCode(1003, "unsupported_data", "A binary frame; we speak JSON text")
INVALID_TEXT: Final = CloseCode(1007, "invalid_text", "A text frame that is not UTF-8")
TOO_BIG: Final = CloseCode(1009, "too_big", "A frame above `limits.frame_bytes`")
INTERNAL_ERROR: Final = CloseCode(1011, "internal_error", "A fault of ours; it has been logged")
HEARTBEAT_MISSED: Final = CloseCode(4000, "heartbeat_missed", "Silence for twice `heartbeat_s`")
SLOW_READER: Final = CloseCode(4001, "slow_reader", "What we sent was not read in time")
FLOOD: Final = CloseCode(4002, "flood", "Went on sending after many `rate_limited`")
HELLO_TIMEOUT: Final = CloseCode(4003, "hello_timeout", "No `hello` within the time allowed")
TRY_LATER: Final = CloseCode(4004, "try_later", "This server can't serve you now; try again soon")
HELLO_REQUIRED: Final = CloseCode(
    4500, "hello_required", "The first message was not a valid `hello`"
)
UNAUTHORIZED: Final = CloseCode(4501, "unauthorized", "The token or session is not valid")
TOKEN_ENDED: Final = CloseCode(
    4502, "token_ended", "The token's time is over; come back with a fresh one"
)
SIGNED_OUT: Final = CloseCode(4503, "signed_out", "You have been signed out; log in again")

CLOSE_CODES: Final[tuple[CloseCode, ...]] = (
    NORMAL,
    DRAINING,
    PROTOCOL_ERROR,
    UNSUPPORTED_DATA,
    INVALID_TEXT,
    TOO_BIG,
    INTERNAL_ERROR,
    HEARTBEAT_MISSED,
    SLOW_READER,
    FLOOD,
    HELLO_TIMEOUT,
    TRY_LATER,
    HELLO_REQUIRED,
    UNAUTHORIZED,
    TOKEN_ENDED,
    SIGNED_OUT,
)
