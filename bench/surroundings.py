"""What a scenario runs on: stores, instances and yardsticks as processes, each on its core.

The service gets the first of our cores to itself; stores, stub and load share the others. All of
it lives in a throw-away folder, and ends with the `async with` that started it, at the latest
with this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import secrets
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from bench.accounts import Population
from bench.figures import resident_bytes
from server.embedded import child
from server.embedded.services import EmbeddedServices
from storage.mongo import Database

ROOT = Path(__file__).resolve().parent.parent
READY_S = 30.0
STOP_S = 20.0
ADDRESS = re.compile(r"(?:is|Listening|answers) at (?:http://)?([\w.]+:\d+)")


@dataclass(frozen=True)
class Cores:
    """Which cores the service runs on, and which everything else."""

    service: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first that we may use for the service, the rest for the others; one serves both."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(frozenset(cores[:1]), frozenset(cores[1:] or cores))


@dataclass
class Started:
    """A process that answers at `url`."""

    name: str
    process: Process
    errors: Path
    url: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def resident_bytes(self) -> int:
        return resident_bytes(self.pid)

    async def gauge(self, name: str) -> float:
        """One number of `/metrics`."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/metrics") as response:
            text = await response.text()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        if found is None:
            raise LookupError(f"{self.name} shows no {name}")
        return float(found.group(1))

    def complaints(self) -> list[str]:
        """What it logged, at level WARNING and above."""
        return self.errors.read_text(errors="replace").splitlines()

    async def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask it to end, and see to it; nothing if it has."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


@dataclass
class Surroundings:
    """Starts things for one repeat of a scenario. Made by `surroundings`."""

    folder: Path
    cores: Cores
    population: Population
    services: EmbeddedServices
    exits: contextlib.AsyncExitStack
    profile: Path | None = None
    stub: Started | None = None
    started: list[Started] = field(default_factory=list)

    async def serve(self, **settings: str) -> Started:
        """Start an instance, on the service's core. Settings are the environment's, by name."""
        number = sum(one.name.startswith("server") for one in self.started)
        environment = self._settings(f"server-{number}", settings)
        command = ["-m", "server.cli", "serve", "--port", "0"]
        if self.profile is not None:
            out = self.profile / f"server-{number}-{os.getpid()}-{secrets.token_hex(2)}.prof"
            command = ["-m", "cProfile", "-o", str(out), *command]
        return await self._start(f"server {number}", command, self.cores.service, environment)

    async def worker(self, name: str, **settings: str) -> Started:
        """Start a worker, on the others' cores."""
        command = ["-m", "server.cli", "worker", name, "--port", "0"]
        return await self._start(name, command, self.cores.others, self._settings(name, settings))

    def _settings(self, folder: str, settings: Mapping[str, str]) -> dict[str, str]:
        return {
            "CARTROOM_DATA": str(self.folder / folder),
            "CARTROOM_JWT_SECRET": self.population.secret,
            "CARTROOM_BCRYPT_COST": str(self.population.bcrypt_cost),
            "CARTROOM_JOURNAL": "0",
            "CARTROOM_LOG_LEVEL": "WARNING",
            "CARTROOM_HEARTBEAT_S": "600",
            "CARTROOM_SOCKETS_PER_MINUTE": "1000000",
            "CARTROOM_REQUESTS_PER_MINUTE": "1000000",
            "MONGODB_URL": self._store_url(),
            "REDIS_URL": self.services.redis_url or "",
            # Those that are measured are started beside it.
            "CARTROOM_WORKERS": "none",
            **settings,
        }

    async def yardstick(self, module: str, *arguments: str) -> Started:
        """Start one of the bare servers, on the service's core."""
        return await self._start(module, ["-m", module, *arguments], self.cores.service, {})

    async def beside(self, module: str, *arguments: str) -> Started:
        """Start something that isn't the service's, on the others' cores."""
        return await self._start(module, ["-m", module, *arguments], self.cores.others, {})

    async def put_stub_before_store(self, delay_ms: float) -> None:
        """From now on, instances run on a store stub that keeps nothing of the log."""
        upstream = urlsplit(self.services.mongodb_url or "").netloc
        arguments = ["-m", "bench.store_stub", "--upstream", upstream, "--port", "0"]
        arguments += ["--delay-ms", str(delay_ms)]
        self.stub = await self._start("stub", arguments, self.cores.others, {})

    def _store_url(self) -> str:
        if self.stub is None:
            return self.services.mongodb_url or ""
        return f"mongodb://{urlsplit(self.stub.url).netloc}/?directConnection=true"

    async def _start(
        self,
        name: str,
        arguments: Sequence[str],
        cores: frozenset[int],
        environment: Mapping[str, str],
    ) -> Started:
        errors = self.folder / f"{name.replace(' ', '-')}-{len(self.started)}.errors"

        def pin() -> None:
            os.sched_setaffinity(0, cores)

        with errors.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", child.__file__, str(os.getpid()), "exec"),
                *(sys.executable, *arguments),
                env={**_own_environment(), **environment},
                cwd=self.folder,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=file,
                start_new_session=True,
                preexec_fn=pin,
            )
        started = Started(name, process, errors)
        self.started.append(started)
        self.exits.push_async_callback(started.stop)
        started.url = f"http://{await _address(started)}"
        return started

    def pids(self, **of: Started) -> dict[str, list[int]]:
        """By part: what was passed in, the stub, and the embedded services."""
        endpoints = self.services.folder.endpoints()
        embedded = {one.name: [one.pid] for one in (endpoints.children if endpoints else ())}
        stub = {"stub": [self.stub.pid]} if self.stub else {}
        return {**{name: [one.pid] for name, one in of.items()}, **stub, **embedded}

    def complaints(self) -> list[str]:
        """What any of the processes logged at level WARNING and above."""
        return [line for one in self.started for line in one.complaints()]


@contextlib.asynccontextmanager
async def surroundings(
    folder: Path,
    *,
    users: int,
    products: int,
    bcrypt_cost: int,
    profile: Path | None = None,
) -> AsyncIterator[Surroundings]:
    """An embedded store and a Redis with so many accounts and products, on the others' cores."""
    cores = Cores.of_this_machine()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores.others)  # ours, and so the children's
    allow_open_files()
    try:
        async with contextlib.AsyncExitStack() as exits:
            services = await exits.enter_async_context(EmbeddedServices(folder, command="bench"))
            database = Database(services.mongodb_url or "", "cartroom", journal=False)
            exits.callback(database.close)
            population = await Population.settle(
                database, users=users, products=products, bcrypt_cost=bcrypt_cost
            )
            yield Surroundings(folder, cores, population, services, exits, profile)
    finally:
        os.sched_setaffinity(0, before)


def allow_open_files() -> None:
    """As many sockets as the machine allows a process; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _own_environment() -> dict[str, str]:
    """Ours, without settings that would leak into what is measured."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CARTROOM_") and name not in ("MONGODB_URL", "REDIS_URL")
    }
    return {**inherited, "PYTHONPATH": str(ROOT)}


async def _address(started: Started) -> str:
    """Read what a process prints until it tells where it listens. Raises RuntimeError."""
    assert started.process.stdout is not None
    try:
        async with asyncio.timeout(READY_S):
            while line := (await started.process.stdout.readline()).decode():
                found = ADDRESS.search(line)
                if found:
                    return found.group(1)
    except TimeoutError:
        pass  # told below, with what it said
    words = "\n".join(started.complaints()[-20:])
    raise RuntimeError(f"{started.name} did not come up: {words}")
