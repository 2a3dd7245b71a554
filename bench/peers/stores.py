"""Processes of a run: on which core, and the stores that each system gets afresh."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from server.embedded import EmbeddedServices, child

ROOT = Path(__file__).resolve().parent.parent.parent
READY_S = 60.0
STOP_S = 30.0
STUB_DELAY_MS = 2.0
ADDRESS = re.compile(r" at (?:http://)?([\d.]+):(\d+)")


class CannotRunError(Exception):
    """Something that the comparison needs is missing. The message says what to do."""


@dataclass(frozen=True)
class Stores:
    """Where the stores of one run are. `truth_url` is the real store, behind a stub if any."""

    mongodb_url: str
    truth_url: str
    redis_url: str
    database: str
    folder: Path
    pids: Mapping[str, int]

    def environment(self) -> dict[str, str]:
        return {
            "MONGODB_URL": f"{self.mongodb_url}&w=majority",
            "REDIS_URL": self.redis_url,
            "DATABASE": self.database,
            "NODE_ENV": "production",
        }


@dataclass(frozen=True)
class Cores:
    """Where the servers run, and where the load and the stores do. None: anywhere."""

    server: int | None
    load: int | None

    @classmethod
    def allowed(cls) -> Cores:
        """The first two that this process may use; none where there is only one."""
        server, load, *_ = (*sorted(os.sched_getaffinity(0)), None)
        return cls(server, load) if load is not None else cls(None, None)


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """This process, and processes that it starts meanwhile, run on this core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.asynccontextmanager
async def process(
    *command: str, folder: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """A process that ends with this one; what it says on standard error is kept in the folder."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CARTROOM_") and name not in ("MONGODB_URL", "REDIS_URL")
    }
    with (folder / "errors.log").open("ab") as errors:
        started = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", child.__file__, str(os.getpid()), "exec", *command),
            env={**inherited, "PYTHONPATH": str(ROOT), **(env or {})},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=errors,
        )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.terminate()
        try:
            await asyncio.wait_for(started.wait(), STOP_S)
        except TimeoutError:
            started.kill()
            await started.wait()


@contextlib.asynccontextmanager
async def fresh_stores(folder: Path, kind: str, stub_module: str) -> AsyncIterator[Stores]:
    """A new embedded store and Redis; for the kind `stub` with the stub in front of the store."""
    async with contextlib.AsyncExitStack() as exits:
        services = await exits.enter_async_context(
            EmbeddedServices(folder / "var", command="bench")
        )
        endpoints = services.folder.endpoints()
        assert endpoints is not None
        assert services.mongodb_url is not None
        assert services.redis_url is not None
        pids = {one.name: one.pid for one in endpoints.children}
        url = services.mongodb_url
        if kind == "stub":
            stub, port = await _start_stub(exits, folder, stub_module, url)
            pids["stub"] = stub.pid
            url = re.sub(r":\d+/", f":{port}/", url)
        yield Stores(
            mongodb_url=url,
            truth_url=services.mongodb_url,
            redis_url=services.redis_url,
            database=f"peers_{secrets.token_hex(4)}",
            folder=folder,
            pids=pids,
        )


async def _start_stub(
    exits: contextlib.AsyncExitStack, folder: Path, module: str, url: str
) -> tuple[Process, int]:
    stub = await exits.enter_async_context(
        process(
            *(sys.executable, "-m", module, "--upstream", urlsplit(url).netloc, "--port", "0"),
            *("--delay-ms", str(STUB_DELAY_MS)),
            folder=folder,
        )
    )
    _, port = await address(stub, folder)
    return stub, port


async def address(started: Process, folder: Path) -> tuple[str, int]:
    """Where a process says that it listens. Raises CannotRunError."""
    assert started.stdout is not None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_S):
            while line := (await started.stdout.readline()).decode():
                found = ADDRESS.search(line)
                if found:
                    return found.group(1), int(found.group(2))
    raise CannotRunError(f"a server did not come up: {said(folder)}")


def said(folder: Path) -> str:
    """The end of what the processes said on standard error."""
    return (folder / "errors.log").read_text(errors="replace")[-2_000:]
