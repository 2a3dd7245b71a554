"""A mail on its way: what was asked for, and the task that sees to it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from commerce.mail.kinds import KINDS
from commerce.mail.message import Address

CANCEL_S: Final = 1.0
"""Longest wait for deliveries that were given up."""


@dataclass(slots=True, eq=False)
class Parcel:
    """A mail asked for. `to` is None where it is made for nobody.

    `token` ends such mails, for who has it.
    """

    id: str
    kind: str
    to: Address | None
    concerns: frozenset[str]
    facts: Mapping[str, Any]
    token: str | None = None
    task: asyncio.Task[None] | None = field(default=None)
    unwanted: bool = False
    """It is not to be tried again. What carries it may miss being cancelled: `asyncio.wait_for`
    of Python 3.11 does, at the moment when what it waits for is there."""


def parcel_of(
    kind: str,
    to: Address | None,
    concerns: Iterable[str],
    facts: Mapping[str, Any],
    *,
    token: str | None = None,
    identity: str | None = None,
) -> Parcel:
    """Raises ValueError for a kind that isn't one, or facts that aren't the kind's."""
    if kind not in KINDS or KINDS[kind].facts != facts.keys():
        raise ValueError(f"no mail {kind!r} with the facts {sorted(facts)}")
    users = frozenset(concerns)
    if to is not None and to.user_id is not None:
        users |= {to.user_id}
    return Parcel(identity or secrets.token_hex(16), kind, to, users, facts, token)


async def cancel(parcels: list[Parcel]) -> None:
    """Give them up, and wait for the end of what is under way."""
    tasks = [parcel.task for parcel in parcels if parcel.task is not None]
    for parcel in parcels:
        parcel.unwanted = True
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL_S)
