"""Test files in JavaScript, run by Node's own test runner."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

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


async def run_tests(
    program: str, tests: Path, environment: Mapping[str, str], *, within_s: float
) -> None:
    """Run one file of tests from the root folder, print what it says, and fail where it failed."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(program, "--test", "--test-reporter=spec", str(tests)),
        env={**inherited, **environment},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(within_s):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    print(out.decode())
    assert process.returncode == 0, out.decode()
