"""`cartroom worker`: what is done beside serving, as a process of its own."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Final

from server import lifecycle
from server.commands.serve import port_number
from server.read import WORKERS
from server.settings import Settings

NICE: Final = 15
SESSION_PRIORITY: Final = Path("/proc/self/autogroup")
"""Only Linux has it, and not everywhere."""
TASKS: Final = {
    "relay": "publishes events to Kafka",
    "notify": "turns events into members' notifications and mails",
    "webhooks": "sends events to the webhooks that are registered",
}

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "worker",
        choices=WORKERS,
        help="; ".join(f"{name}: {TASKS[name]}" for name in WORKERS),
    )
    parser.add_argument(
        "--port",
        type=port_number,
        help="answer /healthz, /readyz and /metrics there, at CARTROOM_HOST; 0 for a free one",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Work until told to stop; 0 after a clean end."""
    _give_way()

    async def started(address: str | None) -> None:
        where = f", and answers at {address}" if address else ""
        print(f"The {args.worker} worker runs{where}", flush=True)

    return lifecycle.run(lifecycle.work(settings, args.worker, args.port, started))


def _give_way() -> None:
    """Where workers share a machine with instances, serving comes first; what waits is in the log.

    Linux shares the CPU among sessions first, and `nice` counts only among the processes of one.
    So a worker with a session of its own (as a service has, or a container's main process) has
    that stand back, too.
    """
    os.nice(NICE)
    if os.getsid(0) == os.getpid():
        try:
            SESSION_PRIORITY.write_text(str(NICE))
        except OSError as error:
            log.info("The session keeps its priority: %s", error)
