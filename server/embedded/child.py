"""Runs in each child process of the embedded default: binds its life to its parent's, then becomes
the store or Redis.

`python child.py PARENT_PID store LOG_FILE ARGUMENT…` runs nx-27017 with the arguments.
`python child.py PARENT_PID exec PROGRAM ARGUMENT…` becomes the program.

It is started as a file and imports nothing of ours, so that it is up quickly.
"""

from __future__ import annotations

import ctypes
import logging
import logging.handlers
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
LOG_BYTES_MAX = 1_000_000
LOG_FILES_KEPT = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process when its parent ends. Only Linux has that.

    It survives `exec`. It is set here and not between `fork` and `exec`, where a parent that has
    threads may run next to nothing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent ended before its child was up")


def run_store(log_file: str, arguments: list[str]) -> None:
    """Run nx-27017 in this process, with a log that is bounded and holds no documents.

    Its own log only grows, and shows commands with what is in them.
    """
    handler = logging.handlers.RotatingFileHandler(
        log_file, maxBytes=LOG_BYTES_MAX, backupCount=LOG_FILES_KEPT
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    # nx-27017 leaves a root logger alone that has a handler and a level.
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    from nx_27017.nx_27017 import main

    sys.argv = ["nx-27017", "--log-file", os.devnull, *arguments]
    main()


def child(arguments: list[str]) -> None:
    parent, kind, *rest = arguments
    die_with_parent(int(parent))
    os.umask(0o077)
    if kind == "store":
        run_store(rest[0], rest[1:])
    else:
        os.execv(rest[0], rest)  # noqa: S606


if __name__ == "__main__":
    child(sys.argv[1:])
