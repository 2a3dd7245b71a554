"""The settings of workers: what follows the log, and how."""

from __future__ import annotations

from dataclasses import dataclass

from server import read
from server.setting import setting
from storage.outbox import MARK_LIFE_S


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """A part of `Settings`."""

    workers: tuple[str, ...] | None = setting(
        "CARTROOM_WORKERS",
        read.workers,
        None,
        "relay, notify and webhooks, separated by commas, or none",
        "What `cartroom serve` does beside serving. Unset: `notify,webhooks` without Kafka, else"
        " nothing",
    )
    follow_every_s: float = setting(
        "CARTROOM_FOLLOW_EVERY_S",
        read.positive_float,
        0.5,
        "seconds",
        "How often a worker looks for new commits; less often when looking takes long",
    )
    follower_lease_s: float = setting(
        "CARTROOM_FOLLOWER_LEASE_S",
        read.positive_float,
        10.0,
        "seconds",
        "After that long without a sign of a worker the others do its part",
    )
    sweep_every_s: float = setting(
        "CARTROOM_SWEEP_EVERY_S",
        read.positive_float,
        60.0,
        "seconds",
        "How often carts at rest are looked at, up to 1,000 a second",
    )
    mark_life_s: float = setting(
        "CARTROOM_MARK_LIFE_S",
        read.positive_float,
        MARK_LIFE_S,
        "seconds",
        "How long after its last sign a cart is followed; the same on all instances and workers",
    )
