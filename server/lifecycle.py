"""A server process from its start to its end: stores, application, listening, signals, draining."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, TypeVar

from aiohttp import web

from server.app import create_app, create_worker_app, drain
from server.embedded import DataFolder, running
from server.errors import UnusableError
from server.keys import PUBLIC_URL
from server.public import browser_address
from server.runner import Runner
from server.settings import Settings
from server.stores import own_stores, shared_stores
from server.tls import tls_context
from server.workers import check_workers

log = logging.getLogger(__name__)

T = TypeVar("T")

# Beyond the time for commits (`drain_s`): saying goodbye, closing connections.
CLOSING_S: Final = 5.0
# And beyond both, where requests have taken all of it: closing what the application is made of.
CUT_OFF_S: Final = 3.0
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
FORCED: Final = 1
INTERRUPTED: Final = 130

# With the defaults, full collections over many sockets show as tails of 150 ms in answers.
GC_THRESHOLDS: Final = (50_000, 20, 100)

Started = Callable[[web.Application, str], Awaitable[None]]


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


class _StopSignals:
    """Turns signals into a wish to stop: the first asks, any further one forces.

    Before the service is up there is nothing to drain, and the first one forces, too.
    """

    def __init__(self) -> None:
        self.work: asyncio.Task[None] | None = None
        self.received: list[int] = []
        self.forced = False
        self.draining = asyncio.Event()
        self.up = False

    def __call__(self, number: int) -> None:
        self.received.append(number)
        if self.up and not self.draining.is_set():
            self.draining.set()
            return
        self.forced = self.up
        if self.work is not None:
            self.work.cancel()


async def serve(settings: Settings, started: Started) -> int:
    """Serve until a signal asks to stop; answers the exit status.

    `started` is awaited with the application and its address once requests are answered. Raises
    UnusableError, EmbeddedError, StoreUnusableError or SettingsError when it can't come up.
    """
    return await _until_told(lambda signals: _serve(settings, started, signals))


async def work(
    settings: Settings,
    name: str,
    port: int | None,
    started: Callable[[str | None], Awaitable[None]],
) -> int:
    """Be the worker of this name until a signal asks to stop; answers the exit status.

    `started` is awaited with the address of its health, None without a port. Raises as `serve`.
    """
    return await _until_told(lambda signals: _work(settings, name, port, started, signals))


async def _until_told(main: Callable[[_StopSignals], Coroutine[Any, Any, None]]) -> int:
    loop = asyncio.get_running_loop()
    signals = _StopSignals()
    signals.work = asyncio.create_task(main(signals), name="main")
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, signals, number)
    try:
        await signals.work
    except asyncio.CancelledError:
        if not signals.received:
            raise
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
    if signals.received[0] == signal.SIGINT:
        return INTERRUPTED
    return FORCED if signals.forced else 0


async def _work(
    settings: Settings,
    name: str,
    port: int | None,
    started: Callable[[str | None], Awaitable[None]],
    signals: _StopSignals,
) -> None:
    async with contextlib.AsyncExitStack() as exits:
        check_workers(settings, (name,))
        settings = await shared_stores(settings)
        runner = Runner(create_worker_app(settings, name), access_log=None)
        exits.push_async_callback(close, runner, settings.drain_s)
        await runner.setup()
        address = None
        if port is not None:
            address = await _listen(runner, replace(settings, port=port), None)
        gc.collect()
        gc.freeze()
        await started(address)
        signals.up = True
        log.info("Working")
        await signals.draining.wait()
        log.info("Stopping")


async def _serve(settings: Settings, started: Started, signals: _StopSignals) -> None:
    tls = tls_context(settings)
    async with contextlib.AsyncExitStack() as exits:
        settings = await exits.enter_async_context(own_stores(settings, "serve"))
        app = create_app(settings)
        runner = Runner(app, access_log=None, shutdown_timeout=settings.drain_s)
        exits.push_async_callback(close, runner, settings.drain_s)
        await runner.setup()
        address = await _listen(runner, settings, tls)
        app[PUBLIC_URL].served = address
        _remember_address(settings, address)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await started(app, address)
        signals.up = True
        log.info("Serving")
        await signals.draining.wait()
        log.info("Stopping")


async def _listen(runner: web.AppRunner, settings: Settings, tls: ssl.SSLContext | None) -> str:
    """Start to accept connections; answers the address for a browser. Raises UnusableError."""
    try:
        await web.TCPSite(runner, settings.host, settings.port, ssl_context=tls).start()
    except socket.gaierror as error:
        raise UnusableError(
            f"CARTROOM_HOST (or --host): {settings.host} is no address of this machine."
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UnusableError(
                f"Port {settings.port} is taken. Stop what listens there, or choose another with"
                " --port or CARTROOM_PORT (0 takes a free one)."
            ) from error
        raise UnusableError(
            f"Can't listen on {settings.host}, port {settings.port}"
            f" ({error.strerror or error}). Choose others with --host and --port."
        ) from error
    port = runner.addresses[0][1]
    return browser_address(settings.host, port, tls=tls is not None)


def _remember_address(settings: Settings, address: str) -> None:
    """Tell other commands where we are, if the data folder is ours."""
    endpoints = running(settings.data)
    if endpoints is not None and endpoints.owner.pid == os.getpid():
        DataFolder(settings.data).remember_address(address)


async def close(runner: web.AppRunner, drain_s: float) -> None:
    """Stop accepting, let the application drain and say goodbye, close; within a bounded time.

    A request that goes on for longer is cut off: it keeps nothing else from its orderly end.
    """
    limit_s = drain_s + CLOSING_S
    try:
        async with asyncio.timeout(limit_s):
            for site in list(runner.sites):
                await site.stop()
            await drain(runner.app)
            await runner.cleanup()
    except TimeoutError:
        log.error("Not everything was closed within %.0f s", limit_s)
        await _cut_off(runner)


async def _cut_off(runner: web.AppRunner) -> None:
    """End connections at once, and close what the application is made of, unless that is done."""
    if runner.server is not None:
        for connection in runner.server.connections:
            connection.force_close()
    try:
        async with asyncio.timeout(CUT_OFF_S):
            await runner.app.cleanup()
    except TimeoutError:
        log.error("Nor was the application within %.0f s", CUT_OFF_S)
