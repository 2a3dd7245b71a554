"""The servers of `scripts/services`, started in folders of their own and ended again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pymongo
import redis

from server.embedded import child
from server.embedded.processes import Process, command_line, started
from tests.helpers import redis_server, steady_port
from tests.kafka import brokers_of
from tests.services.installed import NotInstalledError
from tests.services.programs import format_kafka, kafka_properties, run_ferretdb, run_kafka

START_S = 90.0
PING_MS = 500


@dataclass(frozen=True)
class Server:
    """How one of them is started, and where it is then.

    `prepare` is run to its end before; `answers` asks whether it is up.
    """

    name: str
    command: list[str]
    variable: str
    address: str
    answers: Callable[[], bool]
    prepare: list[str] | None = None


def kafka(folder: Path) -> Server:
    properties = folder / "server.properties"
    port = steady_port()
    listeners = {"CLIENTS": (port, port)}
    properties.write_text(kafka_properties(folder / "data", listeners, steady_port()))
    address = f"127.0.0.1:{port}"
    return Server(
        *("kafka", run_kafka(properties), "KAFKA_BOOTSTRAP", address),
        answers=lambda: bool(asyncio.run(brokers_of(address))),
        prepare=format_kafka(properties),
    )


def ferretdb(folder: Path) -> Server:
    port = steady_port()
    url = f"mongodb://127.0.0.1:{port}/?directConnection=true"

    def answers() -> bool:
        with pymongo.MongoClient(url, serverSelectionTimeoutMS=PING_MS) as client:
            try:
                return bool(client.admin.command("ping"))
            except pymongo.errors.PyMongoError:
                return False

    return Server("ferretdb", run_ferretdb(folder, port), "MONGODB_URL", url, answers)


def redis_(folder: Path) -> Server:
    program = redis_server()
    if program is None:
        raise NotInstalledError("Redis is needed. On Debian: apt install redis-server")
    port = steady_port()
    url = f"redis://127.0.0.1:{port}/0"

    def answers() -> bool:
        with redis.Redis.from_url(url) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    command = [
        *(program, "--port", str(port), "--bind", "127.0.0.1"),
        *("--save", "", "--appendonly", "no", "--dir", str(folder)),
    ]
    return Server("redis", command, "REDIS_URL", url, answers)


SERVERS: dict[str, Callable[[Path], Server]] = {
    "kafka": kafka,
    "ferretdb": ferretdb,
    "redis": redis_,
}


def variables(server: Server) -> dict[str, str]:
    """What tells the tests where it is; without the prefix, `cartroom` too."""
    return {f"CARTROOM_TEST_{server.variable}": server.address}


class Running:
    """One that was started, of this process's children.

    `bound` ones end with this process, whatever ends it.
    """

    def __init__(self, server: Server, folder: Path, *, bound: bool) -> None:
        self.server = server
        self._log = folder / f"{server.name}.log"
        self._bound = [sys.executable, "-P", child.__file__, str(os.getpid()), "exec"]
        if not bound:
            self._bound = []
        if server.prepare is not None:
            status = self._popen(server.prepare).wait(START_S)
            if status:
                raise RuntimeError(f"{server.name} could not be prepared: {self._tail()}")
        self._process = self._popen(server.command)

    def wait_until_up(self) -> None:
        """Raises RuntimeError, with the end of its log, when it doesn't come up."""
        deadline = time.monotonic() + START_S
        while not self.server.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.server.name} did not come up: {self._tail()}")
            time.sleep(0.05)

    def as_process(self) -> Process:
        """What it takes to end it from another process. Only for one that is up."""
        pid = self._process.pid
        return Process(self.server.name, pid, started(pid) or "", [command_line(pid)])

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _popen(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*self._bound, *command],
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-2_000:]


def start(names: list[str], folder: Path, *, bound: bool) -> list[Running]:
    """Start these, each in a folder of its own below `folder`, and wait until all are up.

    Leaves none running when one fails; raises NotInstalledError or RuntimeError.
    """
    running: list[Running] = []
    try:
        for name in names:
            place = folder / name
            place.mkdir(parents=True)
            running.append(Running(SERVERS[name](place), place, bound=bound))
        for one in running:
            one.wait_until_up()
    except BaseException:
        for one in running:
            one.end()
        raise
    return running
