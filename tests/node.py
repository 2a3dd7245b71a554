"""Test files in JavaScript, run by Node's own test runner."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.embedded import child
from server.settings import Settings

ROOT = Path(__file__).parents[1]


def node(*packages: str) -> str:
    """Node's program. Skips the test without it, or without one of `packages`."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node: install Node.js 20 or later")
    for package in packages:
        if not (ROOT / "node_modules" / package).is_dir():
            pytest.skip(f"no {package}: run npm ci")
    return found


def service_environment(settings: Settings) -> dict[str, str]:
    """What `Server` of tests/browser/server.mjs needs to run a service with these settings."""
    serve = [sys.executable, "-P", child.__file__, "PID", "exec", sys.executable, "-m"]
    return {
        "CARTROOM_TEST_LAUNCHER": json.dumps([*serve, "server.cli"]),
        "PYTHONPATH": str(ROOT),
        "MONGODB_URL": settings.mongodb_url,
        "REDIS_URL": settings.redis_url,
        "CARTROOM_DATABASE": settings.mongodb_database,
        "CARTROOM_DATA": str(settings.data),
        "CARTROOM_JWT_SECRET": settings.jwt_secret,
        "CARTROOM_BCRYPT_COST": str(settings.bcrypt_cost),
        "CARTROOM_AUTH_ATTEMPTS_PER_MINUTE": str(settings.auth_attempts_per_minute),
        "CARTROOM_GUESSES_PER_HOUR": str(settings.guesses_per_hour),
        "CARTROOM_REQUESTS_PER_MINUTE": str(settings.requests_per_minute),
        "CARTROOM_ACCOUNT_REQUESTS_PER_MINUTE": str(settings.account_requests_per_minute),
        "CARTROOM_SOCKETS_PER_MINUTE": str(settings.sockets_per_minute),
        "CARTROOM_ACCOUNT_SOCKETS_PER_MINUTE": str(settings.account_sockets_per_minute),
        "CARTROOM_MAILS_PER_HOUR": str(settings.mails_per_hour),
        "CARTROOM_LOG_LEVEL": settings.log_level,
        "CARTROOM_JOURNAL": "0",
    }


@contextmanager
def port_of_a_server() -> Iterator[int]:
    """A port that no program is given meanwhile that takes any: for a server that ends and comes
    back. It may be listened at by name, and while nobody does, it refuses connections."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


async def run_tests(
    program: str, tests: Path, environment: Mapping[str, str], *, within_s: float
) -> None:
    """Run one file of tests from the root folder, print what it says, and fail where it failed."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with tempfile.TemporaryFile() as said, port_of_a_server() as port:
        process = await asyncio.create_subprocess_exec(
            *(program, "--test", "--test-reporter=spec", str(tests)),
            env={**inherited, **environment, "CARTROOM_TEST_PORT": str(port)},
            cwd=ROOT,
            stdout=said,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(within_s):
                await process.wait()
        finally:
            if process.returncode is None:
                # With those that it has started: the file's own process, services, browsers.
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            said.seek(0)
            out = said.read().decode()
            print(out)
    assert process.returncode == 0, out
