"""Instances as people run several: `cartroom serve` processes on the same stores.

Each has ways of its own to the store and to Redis, which a test can harm, and keeps its address
over restarts, so that clients find it again. Settings reach it by environment.
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout
from prometheus_client.parser import text_string_to_metric_families

from server.settings import Settings
from tests.client import Door
from tests.faults import FaultProxy, proxy_of
from tests.helpers import PATIENCE_S, steady_port
from tests.serving import Service, launch

SCRAPE = ClientTimeout(total=PATIENCE_S)


def environment(settings: Settings) -> dict[str, str]:
    """The variables that say what `settings` says."""
    variables = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        if value is None:
            continue
        if isinstance(value, bool):
            value = int(value)
        elif isinstance(value, frozenset | tuple):
            value = ",".join(sorted(map(str, value)))
        variables[item.metadata["variable"]] = str(value)
    return variables


class Instance(Door):
    """A `cartroom serve` process, or the place of one that is down."""

    def __init__(
        self,
        settings: Settings,
        http: ClientSession,
        errors: Path,
        store: FaultProxy,
        redis: FaultProxy,
        bug: str | None = None,
    ) -> None:
        self.settings = replace(
            settings, port=steady_port(), mongodb_url=store.url, redis_url=redis.url
        )
        super().__init__(f"http://127.0.0.1:{self.settings.port}", http)
        self.store = store
        self.redis = redis
        self.service: Service | None = None
        self.frozen = False
        self._errors = errors
        self._bug = bug
        self._earlier: Counter[str] = Counter()
        self._looked: Counter[str] = Counter()

    @property
    def pid(self) -> int:
        assert self.service is not None
        return self.service.process.pid

    async def start(self) -> None:
        """Start the process and wait until it listens."""
        assert self.service is None
        with self._errors.open("ab") as file:
            env = environment(self.settings)
            if self._bug is None:
                process = await launch("serve", env=env, stderr=file)
            else:
                planted = (self._bug, "serve")
                process = await launch(*planted, module="tests.planting", env=env, stderr=file)
        self.service = Service(process, self.settings.data, self._errors)
        await self.service.wait_until_ready()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process by a signal; answers the exit status."""
        assert self.service is not None
        service, self.service, self.frozen = self.service, None, False
        self._earlier = self._looked
        return await service.end(number)

    async def kill(self) -> None:
        """End it as a crash does."""
        await self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP). Its sockets stay open."""
        assert self.service is not None
        self.service.process.send_signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        assert self.service is not None
        self.service.process.send_signal(signal.SIGCONT)
        self.frozen = False

    async def scrape(self) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
        """What `/metrics` tells: by the sample's name, then by its labels."""
        async with self.http.get(f"{self.url}/metrics", timeout=SCRAPE) as response:
            text = await response.text()
        samples: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                by_labels = samples.setdefault(sample.name, {})
                by_labels[frozenset(sample.labels.items())] = sample.value
        return samples

    async def metric(self, name: str, **labels: str) -> float:
        """One sample of this life of the process; with fewer labels, the sum of those that fit."""
        found = (await self.scrape()).get(name, {})
        return sum(value for key, value in found.items() if labels.items() <= key)

    async def counters(self) -> Counter[str]:
        """Our counters by name, over all lives of the process.

        An end takes with it what has been counted since this was called last.
        """
        counts = Counter(self._earlier)
        for name, by_labels in (await self.scrape()).items():
            if name.startswith("cartroom_") and name.endswith("_total"):
                counts[name] += int(sum(by_labels.values()))
        self._looked = counts
        return counts

    def logged_errors(self) -> list[dict[str, Any]]:
        """What it has logged as errors, and what came out beside the log, as `{"message"}`."""
        lines = self._errors.read_text().splitlines() if self._errors.exists() else []
        entries = [json.loads(line) if line[:1] == "{" else {"message": line} for line in lines]
        return [one for one in entries if one.get("level", "ERROR") in ("ERROR", "CRITICAL")]


@asynccontextmanager
async def running_instances(
    settings: Settings, count: int, *, bug: str | None = None
) -> AsyncIterator[list[Instance]]:
    """Instances that are up, under `settings`, whose stores they reach through fault proxies.

    `bug` is one of `tests.planting` that they have.
    """
    assert settings.mongodb_url is not None
    assert settings.redis_url is not None
    folder = settings.data.parent
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as exits:
        http = await exits.enter_async_context(ClientSession())
        instances: list[Instance] = []
        for number in range(count):
            store = await exits.enter_async_context(proxy_of(settings.mongodb_url))
            redis = await exits.enter_async_context(proxy_of(settings.redis_url, framed=False))
            errors = folder / f"instance-{number}.log"
            instances.append(Instance(settings, http, errors, store, redis, bug))
            exits.push_async_callback(_end, instances[-1])
            await instances[-1].start()
        yield instances


async def _end(instance: Instance) -> None:
    if instance.service is not None:
        await instance.service.end()
