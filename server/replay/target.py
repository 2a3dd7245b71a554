"""Which server a replay plays to: a given one, the one that serves the data folder, or its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import server
from server.embedded import DataFolder, child, running
from server.errors import UnusableError
from server.settings import Settings
from server.stores import open_stores

READY_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 30.0
POLL_S: Final = 0.1
ANNOUNCEMENT: Final = "Cartroom is at "
_SOCKET_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


@dataclass(frozen=True, slots=True)
class Target:
    """A server's WebSocket address, and the stores behind it as settings."""

    url: str
    settings: Settings


def socket_url(address: str) -> str:
    """The WebSocket address of a server named by any of its addresses. Raises UnusableError."""
    parts = urlsplit(address)
    scheme = _SOCKET_SCHEMES.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise UnusableError(f"--url: expected an address like http://127.0.0.1:8080, not {address}")
    path = parts.path.rstrip("/").removesuffix("/ws")
    return urlunsplit((scheme, parts.netloc, f"{path}/ws", "", ""))


@contextlib.asynccontextmanager
async def find_target(settings: Settings, url: str | None) -> AsyncIterator[Target]:
    """The server at `url`; else the one that serves the data folder; else one of our own.

    Ours ends with the context. Raises UnusableError, EmbeddedError.
    """
    address = url or await _address(settings)
    if address is not None:
        async with open_stores(settings, "replay") as filled:
            yield Target(socket_url(address), filled)
        return
    async with _own_server(settings) as address, open_stores(settings, "replay") as filled:
        yield Target(socket_url(address), filled)


async def _address(settings: Settings) -> str | None:
    """The address of the server on the data folder, or None. One that just starts is awaited."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_TIMEOUT_S
    while True:
        endpoints = running(settings.data)
        if endpoints is None or endpoints.command != "serve":
            return None
        address = DataFolder(settings.data).address()
        if address is not None:
            return address
        if loop.time() > deadline:
            raise UnusableError("The server on the data folder does not come up; name it: --url.")
        await asyncio.sleep(POLL_S)


@contextlib.asynccontextmanager
async def _own_server(settings: Settings) -> AsyncIterator[str]:
    """A `cartroom serve` on the same settings and a free port; gives its address."""
    process = await asyncio.create_subprocess_exec(
        # The launcher of the embedded children: the server ends with us, however we end.
        *(sys.executable, "-P", child.__file__, str(os.getpid()), "exec"),
        *(sys.executable, "-m", "server.cli", "serve", "--host", "127.0.0.1", "--port", "0"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={
            # What it has to say goes between our progress bars.
            "CARTROOM_LOG_LEVEL": "WARNING",
            # All shoppers are this one machine, which loses connections on purpose.
            "CARTROOM_SOCKETS_PER_MINUTE": "1000000",
            "CARTROOM_ACCOUNT_SOCKETS_PER_MINUTE": "1000000",
            **os.environ,
            "CARTROOM_DATA": str(settings.data.absolute()),
        },
        # Where `server` is found without having been installed, too.
        cwd=Path(server.__file__).parents[1],
        # Ctrl-C is for us: we stop the server when we have left it.
        start_new_session=True,
    )
    try:
        yield await _announced(process)
    finally:
        await _stop(process)


async def _announced(process: asyncio.subprocess.Process) -> str:
    """Wait until the server says where it is; what it says besides is ours to repeat."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while line := (await process.stdout.readline()).decode():
                if line.startswith(ANNOUNCEMENT):
                    return line.removeprefix(ANNOUNCEMENT).strip()
    except TimeoutError:
        raise UnusableError(f"The server was not ready within {READY_TIMEOUT_S:.0f} s.") from None
    raise UnusableError("The server could not be started; it says above why.")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):  # it may end by itself just now
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
