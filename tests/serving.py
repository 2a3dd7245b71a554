"""`cartroom` as people run it: as a process, by its command line."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from server.embedded import child

ROOT = Path(__file__).parents[1]
READY_S = 90.0
FOREIGN_NAMES = ("MONGODB_URL", "REDIS_URL", "KAFKA_BOOTSTRAP")
"""Of settings whose names aren't ours."""
EXIT_S = 120.0


async def launch(
    *arguments: str,
    module: str = "server.cli",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **pipes: Any,
) -> Process:
    """Start `cartroom ARGUMENT…` with none of our settings but these. It ends with the tests.

    `module` is another that runs it.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CARTROOM_")
        and name not in ("MONGODB_URL", "REDIS_URL", "KAFKA_BOOTSTRAP")
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", child.__file__, str(os.getpid()), "exec"),
        *(sys.executable, "-m", module, *arguments),
        env={**inherited, "PYTHONPATH": str(ROOT), **(env or {})},
        cwd=cwd,
        **{"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE, **pipes},
    )


async def cartroom(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    typed: str = "",
) -> tuple[int, str, str]:
    """Run `cartroom ARGUMENT…` to its end; answers status, output and error output."""
    process = await launch(*arguments, env=env, cwd=cwd, stdin=PIPE)
    async with asyncio.timeout(EXIT_S):
        out, error = await process.communicate(typed.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


class Service:
    """A `cartroom serve` that answers at `url`."""

    def __init__(self, process: Process, data: Path, errors: Path) -> None:
        self.process = process
        self.data = data
        self.url = ""
        self.output: list[str] = []
        self._errors = errors

    async def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(READY_S):
            while not self.url:
                line = (await self.process.stdout.readline()).decode()
                assert line, f"serve ended: {self.errors}"
                self.output.append(line.rstrip())
                found = re.match(r"Cartroom is at (https?://\S+)/", line)
                self.url = found.group(1) if found else ""

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    @property
    def run(self) -> dict[str, Any]:
        """What `run.json` says."""
        return json.loads((self.data / "run.json").read_text())

    def child(self, name: str) -> int:
        """The process id of a child."""
        return next(one["pid"] for one in self.run["children"] if one["name"] == name)

    async def get(self, path: str) -> tuple[int, Any]:
        return await self._ask("GET", path, None)

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return await self._ask("POST", path, body)

    async def _ask(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as client,
            client.request(method, self.url + path, json=body) as response,
        ):
            if "json" not in response.content_type:
                return response.status, await response.text()
            return response.status, await response.json(content_type=None)

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end, of a stopped one too; answers the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(EXIT_S):
            assert self.process.stdout is not None
            await self.process.stdout.read()
            return await self.process.wait()


@asynccontextmanager
async def serving(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> AsyncIterator[Service]:
    """A `cartroom serve` on a free port, by default with its data in `folder`/var."""
    errors = folder / "errors.log"
    data = folder / "var"
    with errors.open("ab") as file:
        process = await launch(
            *("serve", "--port", "0", *arguments),
            env={"CARTROOM_DATA": str(data), "CARTROOM_BCRYPT_COST": "4", **(env or {})},
            cwd=cwd,
            stderr=file,
        )
    service = Service(process, data, errors)
    try:
        await service.wait_until_ready()
        yield service
    finally:
        await service.end()
