"""An Apache Kafka of the tests' own, which they may stop, kill, freeze and cut off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from events.kafka.clients import start, to_the_end
from server.embedded import child
from tests.faults import FaultProxy, Match
from tests.helpers import steady_port
from tests.services.programs import format_kafka, kafka_properties, run_kafka
from tests.services.secured import PROTOCOLS, Secured

START_S = 90.0
STOP_S = 45.0
REQUEST_BYTES_MAX = 128 * 1024 * 1024
PRODUCE, FETCH, OFFSET_COMMIT = 0, 1, 8


class KafkaProxy(FaultProxy):
    """Stands before a broker, and harms requests one by one: a request says its length first."""

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readexactly(4)
            (length,) = struct.unpack(">i", head)
            assert 0 <= length <= REQUEST_BYTES_MAX
            return head + await reader.readexactly(length)
        except asyncio.IncompleteReadError:
            return b""


def requests_of(kind: int) -> Match:
    """Matches requests by the protocol's key of what they ask, such as PRODUCE."""
    key = struct.pack(">h", kind)
    return lambda message: message[4:6] == key


is_produce = requests_of(PRODUCE)


class KafkaBroker:
    """A cluster of one broker, with its data in a folder of its own, empty at first.

    Clients of `bootstrap` reach it through `proxy`, then and later; those of `direct` past that.
    Both addresses stay the same over restarts, and so does what it has been given; and so do
    those of its listeners that let in only who is known.
    """

    def __init__(self, folder: Path) -> None:
        """Raises NotInstalledError where there is no Kafka to start."""
        self._folder = folder
        self._properties = folder / "server.properties"
        self._command = run_kafka(self._properties)
        self._direct = steady_port()
        self._proxied = steady_port()
        self._closed = {name: steady_port() for name in PROTOCOLS}
        self.secured = Secured(folder)
        self._process: Process | None = None
        self._formatted = False
        self.paused = False
        self.proxy = KafkaProxy(f"kafka://127.0.0.1:{self._proxied}")

    @property
    def direct(self) -> str:
        return f"127.0.0.1:{self._direct}"

    @property
    def bootstrap(self) -> str:
        return self.proxy.url.removeprefix("kafka://")

    def address(self, listener: str) -> str:
        """Of one that lets in only who is known; see `secured`."""
        return f"127.0.0.1:{self._closed[listener]}"

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> str:
        path = self._folder / "kafka.log"
        return path.read_text() if path.exists() else ""

    async def start(self) -> None:
        """Start it, with its proxy, and wait until it serves clients."""
        assert not self.is_up
        if not self._formatted:
            await self._format()
        self._process = await self._launch(self._command)
        try:
            await self._until_it_serves()
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """End it in order; a frozen one is woken first."""
        if self.is_up and not self.paused:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):  # then it is killed
                await self._ended()
        await self.kill()

    async def kill(self) -> None:
        """`kill -9`. It can be started again."""
        if self.is_up:
            self._signal(signal.SIGKILL)
            await self._ended()
        self.paused = False

    def pause(self) -> None:
        """Freeze the process: connections stay and nobody answers."""
        self._signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        self._signal(signal.SIGCONT)
        self.paused = False

    async def heal(self) -> None:
        """As it was after its start, whatever a test has done to it; its topics stay."""
        self.proxy.relent()
        self.proxy.struck.clear()
        if self.paused:
            self.resume()
        await self.proxy.down()
        await self.proxy.up()
        if not self.is_up:
            await self.start()

    async def end(self) -> None:
        """Stop it for good, with its proxy."""
        await self.stop()
        await self.proxy.down()

    async def _format(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        await self.proxy.up()
        listeners = {
            "DIRECT": (self._direct, self._direct),
            "PROXIED": (self._proxied, int(self.bootstrap.rpartition(":")[2])),
            **{name: (port, port) for name, port in self._closed.items()},
        }
        more = self.secured.properties()
        self._properties.write_text(
            kafka_properties(self._folder / "data", listeners, steady_port(), PROTOCOLS, more)
        )
        process = await self._launch(
            format_kafka(self._properties, *self.secured.format_arguments())
        )
        async with asyncio.timeout(START_S):
            status = await process.wait()
        assert status == 0, f"Kafka's storage could not be made: {self.log}"
        self._formatted = True

    async def _launch(self, command: list[str]) -> Process:
        with (self._folder / "kafka.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", child.__file__, str(os.getpid()), "exec", *command),
                cwd=self._folder,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def _until_it_serves(self) -> None:
        async with asyncio.timeout(START_S):
            while not await brokers_of(self.direct):
                assert self.is_up, f"Kafka ended: {self.log}"
                await asyncio.sleep(0.1)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def _ended(self) -> None:
        assert self._process is not None
        async with asyncio.timeout(STOP_S):
            await self._process.wait()


async def brokers_of(bootstrap: str) -> list[int]:
    """The ids of the brokers that clients are told of, none when it doesn't answer."""
    host, _, port = bootstrap.rpartition(":")
    try:
        # The client would log that there is nobody.
        (await asyncio.open_connection(host, int(port)))[1].close()
        async with admin_of(bootstrap) as admin:
            return [one["node_id"] for one in (await admin.describe_cluster())["brokers"]]
    except (KafkaError, OSError):
        return []


@asynccontextmanager
async def admin_of(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await start(admin)
        yield admin
    finally:
        await to_the_end(admin.close())


async def delete_topics(bootstrap: str, prefix: str) -> None:
    """Delete the topics whose names begin so."""
    async with admin_of(bootstrap) as admin:
        names = [name for name in await admin.list_topics() if name.startswith(prefix)]
        if names:
            await admin.delete_topics(names)
