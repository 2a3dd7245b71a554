"""Starting and ending aiokafka's clients: no connection is left open, and a refusal is explained.

When its start is cancelled, aiokafka forgets the connection that it asks for metadata; and when
that can't be made, it raises an error that doesn't say why. So each that is made in a start is
noted here. Which is what the wrapper around a private part of it is for.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakSet

import aiokafka.client  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

CLOSE_S: Final = 5.0
"""How long a connection may take to say good-bye, before it is left to do so by itself."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Start:
    """What came of the connections of one start."""

    made: WeakSet[Any] = field(default_factory=WeakSet)
    refusal: str = ""
    """Why the last one that failed did."""


_start: ContextVar[_Start | None] = ContextVar("start of a Kafka client", default=None)
_create_conn = aiokafka.client.create_conn


async def _noted(*args: Any, **options: Any) -> Any:
    start = _start.get()
    try:
        connection = await _create_conn(*args, **options)
    except Exception as error:
        if start is not None:
            start.refusal = _advice(error, tls=options.get("ssl_context") is not None)
        raise
    if start is not None:
        start.made.add(connection)
    return connection


aiokafka.client.create_conn = _noted


async def start(client: Any) -> None:
    """Start a client of aiokafka; if that doesn't come to its end, all it has opened is closed.

    Raises KafkaError, which says what to do where Kafka, or who answers in its place, refuses us.
    """
    here = _Start()
    token = _start.set(here)
    try:
        await client.start()
    except BaseException as error:
        await to_the_end(_close(list(here.made)))
        if isinstance(error, KafkaConnectionError):
            raise KafkaConnectionError(_told(error, here)) from error
        raise
    finally:
        _start.reset(token)


async def stop_consumer(consumer: Any) -> None:
    """Stop a consumer whole, as `to_the_end` does; started or not."""

    async def stop() -> None:
        try:
            await consumer.stop()
        finally:
            await consumer._client.close()  # which is left open by an error before

    await to_the_end(stop())


async def to_the_end(closing: Awaitable[Any]) -> None:
    """Await what closes something, whole, though we are cancelled meanwhile: that is raised then.

    Its errors are logged, and change nothing: what is closed is of no use any more.
    """
    task = asyncio.ensure_future(closing)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("A Kafka client didn't end in order: %s", error, exc_info=error)
    if cancelled:
        raise asyncio.CancelledError


async def _close(connections: list[Any]) -> None:
    closed = [connection.close() for connection in connections]
    if closed:
        await asyncio.wait(closed, timeout=CLOSE_S)


def _told(error: Exception, start: _Start) -> str:
    if start.refusal:
        return start.refusal
    if start.made:
        return (
            "it hung up on our first question; does it want to know who we are"
            " (CARTROOM_KAFKA_USERNAME, CARTROOM_KAFKA_TLS_CERT)?"
        )
    return str(error)


def _advice(error: Exception, *, tls: bool) -> str:
    """What the error of a connection asks of who reads it."""
    told = str(error) or type(error).__name__
    match error:
        case SaslAuthenticationFailed():
            advice = (
                f"it doesn't let us in ({told}): see CARTROOM_KAFKA_USERNAME,"
                " CARTROOM_KAFKA_PASSWORD and CARTROOM_KAFKA_SASL_MECHANISM"
            )
        case UnsupportedSaslMechanismError():
            advice = f"it has other ways to sign in ({told}): see CARTROOM_KAFKA_SASL_MECHANISM"
        case IllegalSaslStateError():
            advice = "it asks nobody to sign in at this address: unset CARTROOM_KAFKA_USERNAME"
        case ssl.SSLCertVerificationError():
            advice = (
                f"its certificate isn't one that we trust ({error.verify_message}):"
                " see CARTROOM_KAFKA_TLS_CA, and the names in KAFKA_BOOTSTRAP"
            )
        case KafkaConnectionError() if tls:
            advice = (
                f"it hung up on our certificate, or for want of one ({told}):"
                " see CARTROOM_KAFKA_TLS_CERT"
            )
        case ssl.SSLError() | ConnectionResetError() | KafkaConnectionError():
            advice = (
                f"it hung up before we could talk ({told}): see whether it speaks TLS at this"
                " address, and CARTROOM_KAFKA_TLS"
            )
        case _:
            advice = told
    return advice
