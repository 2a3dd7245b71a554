"""`cartroom worker`: what is done beside serving, as a process of its own."""

from __future__ import annotations

import argparse
import os
from typing import Final

from server import lifecycle
from server.commands.serve import port_number
from server.read import WORKERS
from server.settings import Settings

NICE: Final = 15
TASKS: Final = {
    "relay": "publishes events to Kafka",
    "notify": "turns events into members' notifications and mails",
    "webhooks": "sends events to the webhooks that are registered",
}


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
    # Where both share a machine, serving comes first; what waits is in the log.
    os.nice(NICE)

    async def started(address: str | None) -> None:
        where = f", and answers at {address}" if address else ""
        print(f"The {args.worker} worker runs{where}", flush=True)

    return lifecycle.run(lifecycle.work(settings, args.worker, args.port, started))
