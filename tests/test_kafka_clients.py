"""Clients of Kafka that are cancelled while they connect leave no connection behind."""

from __future__ import annotations

import asyncio
import gc
import struct
from contextlib import asynccontextmanager, suppress

import pytest

from events.event import Event
from events.kafka.access import KafkaAccess
from events.kafka.clients import to_the_end
from events.kafka.codec import Encoder
from events.kafka.consumer import KafkaConsumer
from events.kafka.dead_letters import DeadLetters
from events.kafka.sink import KafkaSink
from events.kafka.topics import Topics, create_topics
from events.sink import CartEvents
from tests.helpers import eventually

LONG_S = 60.0
API_VERSIONS, METADATA = 18, 3
VERSIONS = ((API_VERSIONS, 0, 0), (METADATA, 0, 1))


class TakesItsTime:
    """A broker that says which requests it knows, and answers none of them."""

    def __init__(self):
        self.asked = asyncio.Event()
        self.open = set()

    async def connected(self, reader, writer):
        self.open.add(writer)
        try:
            while True:
                (length,) = struct.unpack(">i", await reader.readexactly(4))
                request = await reader.readexactly(length)
                kind, _, number = struct.unpack(">hhi", request[:8])
                if kind == API_VERSIONS:
                    answer = struct.pack(">ihi", number, 0, len(VERSIONS))
                    answer += b"".join(struct.pack(">hhh", *one) for one in VERSIONS)
                    writer.write(struct.pack(">i", len(answer)) + answer)
                else:
                    self.asked.set()
        except (asyncio.IncompleteReadError, ConnectionResetError):
            self.open.discard(writer)
        finally:
            writer.transport.abort()


@pytest.fixture
async def broker():
    broker = TakesItsTime()
    server = await asyncio.start_server(broker.connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    broker.access = KafkaAccess((f"{host}:{port}",))
    yield broker
    server.close()
    for writer in broker.open:
        writer.transport.abort()
    await server.wait_closed()


async def deliver(access, topics):
    sink = KafkaSink(access, topics, Encoder("/cartroom"))
    event = Event("crt_a:1", "cartroom.cart.clear", "crt_a", "crt_a", 1, 1_000, {"rev": 1})
    try:
        await sink.deliver([CartEvents("crt_a", (event,), 100)])
    finally:
        await sink.close()


async def consume(access, topics):
    async def handle(_events):
        raise AssertionError

    await KafkaConsumer(access, topics, handle, group="test.notify", away=()).run()


@asynccontextmanager
async def letters_of(access, topics):
    letters = DeadLetters(access, topics)
    try:
        yield letters
    finally:
        await letters.close()


async def list_letters(access, topics):
    async with letters_of(access, topics) as letters:
        await letters.numbers()


@pytest.mark.parametrize("client", [create_topics, deliver, consume, list_letters])
async def test_who_is_cancelled_while_kafka_is_silent_hangs_up(broker, client):
    task = asyncio.create_task(client(broker.access, Topics("test.", partitions=1)))
    async with asyncio.timeout(LONG_S):
        await broker.asked.wait()
        assert broker.open
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert task.cancelled()
    await eventually(lambda: not broker.open, LONG_S, "all connections closed")
    gc.collect()  # What was forgotten would say so now, and fail this test.


async def test_what_closes_goes_on_though_it_is_cancelled_twice(caplog):
    begun, go, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def close():
        begun.set()
        await go.wait()
        ended.set()
        raise ValueError("nothing to close")

    task = asyncio.create_task(to_the_end(close()))
    await begun.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    assert "didn't end in order: nothing to close" in caplog.text
