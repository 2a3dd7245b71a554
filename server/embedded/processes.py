"""Which process is which: a process id alone is used again once its process has ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

TERMINATE_S = 5.0
KILL_S = 5.0
POLL_S = 0.02
HAS_PROC = Path("/proc/self/stat").exists()


class Process(msgspec.Struct, frozen=True):
    """A process as `run.json` remembers it.

    `started` tells it from a later one of the same id; a marker is a part of its command line.
    """

    name: str
    pid: int
    started: str
    markers: list[str]


def started(pid: int) -> str | None:
    """When the process started, as text to compare; None when there is none or it is a zombie."""
    if HAS_PROC:
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The second field is the program's name in parentheses, and may hold anything.
        state, *rest = stat.rpartition(")")[2].split()
        return None if state in "ZX" else f"{boot}:{rest[18]}"
    return _ps(pid, "lstart=")


def command_line(pid: int) -> str:
    """The process's command line, empty when there is none."""
    if HAS_PROC:
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return os.fsdecode(raw.replace(b"\0", b" "))
    return _ps(pid, "command=") or ""


def _ps(pid: int, column: str) -> str | None:
    found = subprocess.run(  # noqa: S603
        ["ps", "-ww", "-o", column, "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or None


def is_alive(process: Process) -> bool:
    """Whether this very process still runs, and not another that was given its id."""
    if started(process.pid) != process.started:
        return False
    line = command_line(process.pid)
    return any(marker in line for marker in process.markers)


def end(process: Process) -> bool:
    """End the process if it still runs; True when there was one to end.

    Raises PermissionError when it is somebody else's, TimeoutError when it won't go.
    """
    if not is_alive(process):
        return False
    for number, wait_s in ((signal.SIGTERM, TERMINATE_S), (signal.SIGKILL, KILL_S)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if not is_alive(process):
                return True
            time.sleep(POLL_S)
    raise TimeoutError(f"process {process.pid} does not end")
