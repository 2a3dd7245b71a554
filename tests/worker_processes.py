"""Workers as people run them: `cartroom worker` processes."""

from __future__ import annotations

import asyncio
import re
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from server.settings import Settings
from tests.faults import FaultProxy, proxy_of
from tests.instances import SCRAPE, environment
from tests.serving import EXIT_S, READY_S, launch


class Worker:
    """A `cartroom worker` process. `store` is its own way to the store, which a test can harm."""

    def __init__(self, process: Process, url: str, store: FaultProxy) -> None:
        self.process = process
        self.url = url
        self.store = store

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; answers the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(EXIT_S):
            return await self.process.wait()

    async def ready(self) -> bool:
        async with (
            ClientSession() as http,
            http.get(f"{self.url}/readyz", timeout=SCRAPE) as response,
        ):
            return response.status == 200

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name whose labels fit."""
        async with (
            ClientSession() as http,
            http.get(f"{self.url}/metrics", timeout=SCRAPE) as response,
        ):
            text = await response.text()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@asynccontextmanager
async def running_workers(settings: Settings, *names: str) -> AsyncIterator[list[Worker]]:
    """Workers that run, under `settings`, whose store they reach through fault proxies."""
    assert settings.mongodb_url is not None
    folder = settings.data.parent
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as exits:
        workers: list[Worker] = []
        for number, name in enumerate(names):
            store = await exits.enter_async_context(proxy_of(settings.mongodb_url))
            errors = folder / f"worker-{number}-{name}.log"
            env = environment(replace(settings, mongodb_url=store.url))
            with errors.open("ab") as file:
                process = await launch("worker", name, "--port", "0", env=env, stderr=file)
            worker = Worker(process, await _address(process, errors), store)
            exits.push_async_callback(worker.end)
            workers.append(worker)
        yield workers


async def _address(process: Process, errors: Path) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(READY_S):
        line = (await process.stdout.readline()).decode()
    found = re.search(r"runs, and answers at (http://\S+)/", line)
    assert found, f"{line}; see {errors}"
    return found.group(1)
