"""One attempt: a POST, and what came back. Nothing that a receiver does takes more than its time.

No redirects, no cookies, no proxies from the environment, no decompression; of an answer only the
beginning is read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from aiohttp import (
    ClientConnectorDNSError,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
    InvalidURL,
    hdrs,
)

from events.webhooks.connecting import Allowed, ForbiddenAddressError, Lookup, connector

USER_AGENT: Final = "Cartroom-Webhooks/1"
TEXT_BYTES_MAX: Final = 1_024
TEXT_CHARS_MAX: Final = 200
RETRY_AFTER_MAX_S: Final = 86_400.0
BELT_S: Final = 5.0
"""The client keeps the time by itself; should it not, it is cut off so much later."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A status, or the name of an error; `text` is how the answer begins."""

    took_s: float
    status: int | None = None
    error: str | None = None
    text: str = ""
    retry_after_s: float = 0.0

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Sends within `timeout_s`, to addresses that are `allowed`. Enter it before use."""

    def __init__(
        self,
        *,
        timeout_s: float,
        allowed: Allowed,
        lookup: Lookup,
        tls: ssl.SSLContext | None = None,
        monotonic: Callable[[], float],
    ) -> None:
        self._timeout_s = timeout_s
        self._allowed = allowed
        self._lookup = lookup
        self._tls = tls
        self._monotonic = monotonic

    async def __aenter__(self) -> Self:
        self._session = ClientSession(
            connector=connector(self._lookup, self._allowed, self._tls),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=ClientTimeout(total=self._timeout_s),
            headers={hdrs.USER_AGENT: USER_AGENT, hdrs.CONTENT_TYPE: "application/json"},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def send(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        """Make one attempt. Whatever goes wrong is in the outcome."""
        began_s = self._monotonic()
        try:
            async with (
                asyncio.timeout(self._timeout_s + BELT_S),
                self._session.post(
                    url, data=body.encode(), headers=headers, allow_redirects=False
                ) as response,
            ):
                text = await _beginning(response)
        except (ClientError, OSError, ValueError, RuntimeError) as error:
            # uvloop may raise RuntimeError where others raise OSError.
            return Outcome(self._monotonic() - began_s, error=_name_of(error))
        return Outcome(
            self._monotonic() - began_s,
            status=response.status,
            text=text,
            retry_after_s=_retry_after(response),
        )


async def _beginning(response: ClientResponse) -> str:
    """How the answer begins. Its status counts, whatever becomes of the rest."""
    read = bytearray()
    try:
        while len(read) < TEXT_BYTES_MAX and not response.content.at_eof():
            read += await response.content.read(TEXT_BYTES_MAX - len(read))
    except (ClientError, OSError, TimeoutError):
        response.close()
    if not response.content.at_eof():
        response.close()  # the rest is not read
    text = bytes(read).decode(errors="replace")
    return "".join(one if one.isprintable() else " " for one in text[:TEXT_CHARS_MAX]).strip()


# The first that fits, of the error itself or of what kept a connection from being made.
_NAMES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ForbiddenAddressError, "address"),
    (InvalidURL, "address"),  # a number for an address, in another form than the usual one
    (TimeoutError, "timeout"),
    (ClientConnectorDNSError, "name"),
    (ClientSSLError, "tls"),
    (ssl.SSLError, "tls"),
    (ClientResponseError, "answer"),
)


def _name_of(error: Exception) -> str:
    """What `DeliverySchema` calls it."""
    cause = getattr(error, "os_error", error)
    return next(
        (name for kind, name in _NAMES if isinstance(cause, kind) or isinstance(error, kind)),
        "connection",
    )


def _retry_after(response: ClientResponse) -> float:
    """How long the receiver wants to be left alone; 0 when it doesn't say so in seconds."""
    text = response.headers.get(hdrs.RETRY_AFTER, "")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        return 0.0
    return min(float(text), RETRY_AFTER_MAX_S)
