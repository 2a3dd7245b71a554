"""One supervised child process: brought up, started again when it dies, stopped with us."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import sys
import threading
from asyncio.subprocess import DEVNULL
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from server.embedded import child
from server.embedded.folder import EmbeddedError
from server.embedded.processes import Process, started

log = logging.getLogger(__name__)

# Long for a machine that is idle; but a store that comes up slowly would only do so again.
READY_S = 60.0
READY_POLL_S = 0.02
START_ATTEMPTS = 3
STOP_S = 5.0
ASK_AGAIN_S = 1.0
BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 5.0
STEADY_S = 30.0
ERRORS_SHOWN_BYTES = 2_000

# Below the ports that kernels hand out to outgoing connections (32768 and up), so that none of
# these takes a child's port while it restarts.
PORTS = range(20_000, 32_000)
PORT_ATTEMPTS = 100


class Service(Protocol):
    """What there is to know about a kind of child. `port` is set before anything is asked."""

    name: str
    port: int
    errors: Path

    def prepare(self) -> None:
        """Get files ready for a start. Raises OSError."""

    def arguments(self) -> list[str]:
        """The launcher's arguments (see `child.py`)."""

    def markers(self) -> list[str]:
        """Parts of its command line; one of them is there at any time of its life."""

    async def ping(self) -> None:
        """One round trip to the service itself. Raises ConnectionError when it doesn't answer."""


class Supervisor:
    """Keeps one child alive. `changed` is called after each start, with the new process in place.

    Children must be started from the main thread: on Linux they end with the thread that
    started them.
    """

    def __init__(self, service: Service, changed: Callable[[], None]) -> None:
        self._service = service
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._remembered: Process | None = None
        self._stopping = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    @property
    def process(self) -> Process | None:
        """The child as it is remembered for later runs; None before the first start."""
        return self._remembered

    async def start(self) -> None:
        """Start the child and wait until it answers. Raises EmbeddedError, leaving no process."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children are started from the main thread")
        for attempt in range(1, START_ATTEMPTS + 1):
            self._service.port = _free_port()
            try:
                process = await self._spawn()
                if await self._is_ready(process):
                    break
            except OSError as error:
                raise EmbeddedError(
                    f"The embedded {self._service.name} can't be started: {error}."
                ) from error
            except BaseException:
                await self._end()
                raise
            await self._end()
            # Another program may have taken the port first; a new try takes another.
            log.warning("An embedded service did not start", extra=self._fields(attempt=attempt))
        else:
            raise EmbeddedError(
                f"The embedded {self._service.name} does not start: {self._last_words()}"
            )
        self._watcher = asyncio.create_task(
            self._watch(process), name=f"watch-{self._service.name}"
        )

    async def stop(self) -> None:
        """Stop the child: asked first, killed after STOP_S. Safe to call at any time."""
        self._stopping.set()
        try:
            if self._watcher is not None:
                await self._watcher
        finally:
            await self._end()

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._service.prepare()
        with self._service.errors.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", child.__file__, str(os.getpid())),
                *self._service.arguments(),
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=errors,
                # A Ctrl-C in a terminal reaches the whole group. We decide when children stop.
                start_new_session=True,
            )
        self._process = process
        self._remembered = Process(
            name=self._service.name,
            pid=process.pid,
            started=started(process.pid) or "",
            markers=self._service.markers(),
        )
        self._changed()
        return process

    async def _is_ready(self, process: asyncio.subprocess.Process) -> bool:
        """Wait until the child answers; False when it ended or the time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_S
        while process.returncode is None and loop.time() < deadline:
            if await _accepts(self._service.port):
                with contextlib.suppress(ConnectionError):
                    await self._service.ping()
                    # What answered may be another program on the same port.
                    return process.returncode is None
            await asyncio.sleep(READY_POLL_S)
        return False

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Start the child anew whenever it dies, less and less eagerly, until `stop`."""
        loop = asyncio.get_running_loop()
        backoff_s = BACKOFF_MIN_S
        while True:
            since = loop.time()
            if await self._is_stopping_before_death_of(process):
                return
            if loop.time() - since > STEADY_S:
                backoff_s = BACKOFF_MIN_S
            log.error(
                "An embedded service died",
                extra=self._fields(code=process.returncode, again_in_s=backoff_s),
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff_s)
                return
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
            try:
                process = await self._spawn()
            except (OSError, EmbeddedError):
                log.exception("An embedded service can't be started", extra=self._fields())
                process = self._process or process  # it may have been, and only not be remembered

    async def _is_stopping_before_death_of(self, process: asyncio.subprocess.Process) -> bool:
        """Wait until the child has died (False) or we are stopping (True)."""
        died = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({died, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            died.cancel()
            stopping.cancel()
        return self._stopping.is_set()

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        ended = asyncio.ensure_future(process.wait())
        try:
            async with asyncio.timeout(STOP_S):
                while not ended.done():
                    process.terminate()
                    # nx-27017 ends by an exception, which gets lost if it comes while an object
                    # is finalized; and just then its connections are.
                    await asyncio.wait({ended}, timeout=ASK_AGAIN_S)
        except (ProcessLookupError, TimeoutError):
            log.warning("An embedded service did not stop in time", extra=self._fields())
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await ended

    def _fields(self, **more: object) -> dict[str, object]:
        return {"service": self._service.name, **more}

    def _last_words(self) -> str:
        lines = self._service.errors.read_bytes()[-ERRORS_SHOWN_BYTES:].decode(errors="replace")
        last = lines.strip().rpartition("\n")[2]
        return f"{last or 'it says nothing'} (more in {self._service.errors.parent})"


def _free_port() -> int:
    for _ in range(PORT_ATTEMPTS):
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise EmbeddedError("No free port for the embedded services between 20000 and 31999.")


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
