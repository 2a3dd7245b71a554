"""The embedded default, through the command line and with real children.

What a kill -9 of its parts leaves behind is in `test_kills.py`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.embedded import (
    DataFolder,
    EmbeddedError,
    EmbeddedServices,
    Endpoints,
    running,
    services,
    supervisor,
)
from server.embedded.processes import Process, command_line, is_alive, started
from server.settings import Settings
from server.stores import open_stores
from tests.helpers import eventually
from tests.serving import Service, cartroom, serving

ANN = {"email": "ann@shop.example", "password": "a long passphrase", "name": "Ann"}
SIGN_IN = {"email": ANN["email"], "password": ANN["password"]}


async def is_ready(service: Service) -> bool:
    return (await service.get("/readyz"))[0] == 200


async def test_serves_with_nothing_configured_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        assert await is_ready(service)
        children = [service.child("store"), service.child("Redis")]
        assert all(started(pid) for pid in children)
        assert await service.end() == 0
    assert not any(started(pid) for pid in children)
    assert not (tmp_path / "var" / "run.json").exists()
    assert "Traceback" not in service.errors


async def test_only_the_owner_reads_passwords_and_nobody_sees_them(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        password = service.run["redis_url"].split(":")[2].split("@")[0]
        assert len(password) >= 32
        for pid in (service.process.pid, service.child("store"), service.child("Redis")):
            assert command_line(pid)
            assert password not in command_line(pid)
        for name in ("run.json", "secret", "redis/redis.conf"):
            mode = stat.S_IMODE((service.data / name).stat().st_mode)
            assert mode == 0o600, name
        databases = list((service.data / "store").glob("*.db*"))
        assert databases
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in databases)


async def test_a_second_serve_on_the_folder_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, out, error = await cartroom("serve", "--port", "0", "--data", str(service.data))
        assert (status, out) == (2, "")
        assert error.count("\n") == 1
        assert f"in use by `cartroom serve`, process {service.process.pid}" in error
        assert "CARTROOM_DATA" in error
        assert await is_ready(service)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
async def test_children_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        children = [service.child("store"), service.child("Redis")]
        await service.end(signal.SIGKILL)
        await eventually(lambda: not any(started(pid) for pid in children))


@pytest.mark.parametrize("name", ["store", "Redis"])
async def test_a_child_that_dies_is_started_again_on_its_port(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path) as service:
        before = service.run
        assert (await service.post("/api/v1/auth/register", ANN))[0] == 201
        killed = service.child(name)
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: service.child(name) != killed)
        await eventually(lambda: is_ready(service))
        assert service.run["mongodb_url"] == before["mongodb_url"]
        assert service.run["redis_url"] == before["redis_url"]
        assert (await service.post("/api/v1/auth/login", SIGN_IN))[0] == 200
        new = service.child(name)
    assert not started(new)


async def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        children = [service.child("store"), service.child("Redis")]
        assert await service.end(signal.SIGINT) == 130
    assert not any(started(pid) for pid in children)
    assert "Traceback" not in service.errors


# Leftovers. On Linux children die with their parent; where they don't, run.json finds them.


@pytest.fixture
def decoy() -> Iterator[subprocess.Popen[bytes]]:
    """A process that could be a leftover: `decoy-marker` is in its command line."""
    program = "import sys; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "decoy-marker"], stdin=subprocess.PIPE
    ) as process:
        yield process
        process.kill()


def leave(folder: Path, pid: int, **differing: Any) -> DataFolder:
    """A folder as if a holder was killed whose child is this process, or differs from it."""
    data = DataFolder(folder)
    data.prepare()
    found = {"started": started(pid), "markers": ["decoy-marker"], **differing}
    gone = Process(name="cartroom", pid=pid, started="never", markers=["-"])
    child = Process(name="store", pid=pid, **found)
    data.remember(
        Endpoints(
            command="serve",
            owner=gone,
            ready=True,
            mongodb_url="mongodb://127.0.0.1:1/",
            redis_url=None,
            children=[child],
        )
    )
    return data


def test_a_leftover_child_is_ended(tmp_path: Path, decoy: subprocess.Popen[bytes]) -> None:
    data = leave(tmp_path / "var", decoy.pid)
    assert running(data.path) is None  # its owner is no more
    with data.hold("serve"):
        data.end_leftovers()
    assert decoy.wait(60) == -signal.SIGTERM
    assert data.endpoints() is None


@pytest.mark.parametrize("differing", [{"started": "boot:1"}, {"markers": ["/another/store"]}])
def test_another_process_under_an_old_id_is_left_alone(
    tmp_path: Path, decoy: subprocess.Popen[bytes], differing: dict[str, Any]
) -> None:
    data = leave(tmp_path / "var", decoy.pid, **differing)
    with data.hold("serve"):
        data.end_leftovers()
    assert decoy.poll() is None


def test_a_zombie_counts_as_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        me = Process(name="x", pid=process.pid, started=started(process.pid) or "", markers=[""])
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(me)


# What stands in the way


async def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, _, error = await cartroom("serve", "--port", "0", "--data", str(tmp_path / "file"))
    assert status == 2
    assert error.count("\n") == 1
    assert f"{tmp_path / 'file'} can't be used" in error
    assert "CARTROOM_DATA" in error


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=5 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(EmbeddedError, match=r"full: 5 MiB are free.*CARTROOM_DATA"):
        DataFolder(tmp_path / "var").prepare()


@pytest.mark.parametrize(
    ("service", "fix"), [(services.Store, "MONGODB_URL"), (services.Redis, "REDIS_URL")]
)
def test_a_missing_program_is_named_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Any, fix: str
) -> None:
    monkeypatch.setattr(services, "find_spec", lambda _name: None)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(EmbeddedError, match=rf"cartroom\[embedded\].*{fix}"):
        service(DataFolder(tmp_path))


async def test_a_damaged_secret_is_named(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "var")
    assert data.secret() == data.secret()
    (data.path / "secret").write_text("")
    status, _, error = await cartroom("serve", "--port", "0", "--data", str(data.path))
    assert status == 2
    assert "secret is damaged. Remove it" in error


async def test_a_store_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.Store, "arguments", lambda _self: ["exec", "/nonexistent"])
    embedded = EmbeddedServices(tmp_path / "var")
    with pytest.raises(EmbeddedError, match=r"store does not start: .*No such file"):
        await embedded.__aenter__()
    assert embedded.folder.endpoints() is None
    with embedded.folder.hold("serve"):
        pass  # nobody holds it


class Deaf:
    """A service that misses the first request to stop."""

    name = "deaf"
    port = 0

    def __init__(self, folder: Path) -> None:
        self.errors = folder / "deaf.errors"

    def prepare(self) -> None:
        pass

    def arguments(self) -> list[str]:
        program = (
            "import signal, socket\n"
            f"door = socket.create_server(('127.0.0.1', {self.port}))\n"
            "for _ in range(2): signal.sigwait([signal.SIGTERM])\n"
        )
        blocked = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        return ["exec", sys.executable, "-c", blocked + program]

    def markers(self) -> list[str]:
        return ["create_server"]

    async def ping(self) -> None:
        pass


async def test_a_child_that_missed_the_request_to_stop_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "ASK_AGAIN_S", 0.05)
    deaf = supervisor.Supervisor(Deaf(tmp_path), lambda: None)
    await deaf.start()
    await deaf.stop()
    assert deaf.process is not None
    assert not started(deaf.process.pid)
    assert "did not stop in time" not in caplog.text


class Plain(Deaf):
    """A service that ends when it is asked to."""

    name = "plain"

    def arguments(self) -> list[str]:
        program = (
            f"import signal, socket; door = socket.create_server(('127.0.0.1', {self.port}));"
            " signal.pause()"
        )
        return ["exec", sys.executable, "-c", program]


async def test_a_child_that_could_not_be_written_down_is_the_one_that_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when it is started anew: no second one is started beside it."""
    monkeypatch.setattr(supervisor, "BACKOFF_MIN_S", 0.01)
    pids: list[int] = []

    def changed() -> None:
        assert plain.process is not None
        pids.append(plain.process.pid)
        if len(pids) == 2:
            raise EmbeddedError("the disk is full")

    plain = supervisor.Supervisor(Plain(tmp_path), changed)
    await plain.start()
    os.kill(pids[0], signal.SIGKILL)
    await eventually(lambda: len(pids) >= 2, what="another one")
    with contextlib.suppress(AssertionError):
        await eventually(lambda: len(pids) > 2, timeout_s=0.3)
    await plain.stop()
    assert len(pids) == 2
    assert not any(started(pid) for pid in pids)


@pytest.mark.parametrize(("asked", "given"), [(None, False), (True, True)])
async def test_the_embedded_store_journals_only_when_asked(
    tmp_path: Path, asked: bool | None, given: bool
) -> None:
    settings = Settings(data=tmp_path / "var", journal=asked)
    async with open_stores(settings, "test") as filled:
        assert filled.journal is given
        assert filled.jwt_secret == DataFolder(settings.data).secret()


async def test_what_is_configured_is_used_as_it_is(tmp_path: Path) -> None:
    urls = {"mongodb_url": "mongodb://db.example/", "redis_url": "redis://cache.example/"}
    settings = Settings(data=tmp_path / "var", jwt_secret="x" * 32, **urls)
    async with open_stores(settings, "test") as filled:
        assert filled == settings
    assert not settings.data.exists()
