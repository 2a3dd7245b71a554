"""One replay from its beginning to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import aiohttp
from tqdm import tqdm

from commerce.accounts.sessions import Sessions
from commerce.accounts.tokens import Tokens
from commerce.catalog.importing import import_products
from realtime.commands import cart_id
from realtime.limits import Limits
from server.replay.client import Client
from server.replay.figures import Figures
from server.replay.ledger import Ledger, draw_up
from server.replay.members import Member, ensure_members
from server.replay.plan import CREATE_N, Chances, Plan, make_plan
from server.replay.player import Player, make_clients
from server.replay.products import products_of
from server.replay.recording import Recording, read_recording
from server.replay.report import Report
from server.replay.target import Target, find_target
from server.replay.verifier import Address, verify
from server.settings import Settings
from storage.indexes import create_indexes
from storage.mongo import Database
from storage.products import Products
from storage.sessions import SessionRecords
from storage.users import Users

TOKEN_TTL_S: Final = 86_400
"""Life of the members' tokens: longer than any replay takes."""

_PROBE_DEVICE: Final = "00000000-0000-4000-8000-000000000000"


class _Advance(Protocol):
    def __call__(self, count: int = 1, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for. `invoices_max` None: all of them; `concurrency` in carts at a time."""

    file: Path
    url: str | None
    invoices_max: int | None
    concurrency: int
    chances: Chances
    verify_only: bool


@dataclass(frozen=True, slots=True)
class _Scene:
    """Where a replay takes place."""

    session: aiohttp.ClientSession
    url: str
    members: list[Member]
    limits: Limits


async def replay(request: Request, settings: Settings) -> Report:
    """Play a recording, unless it is only to be verified, and compare every cart with it.

    Raises RecordingError, ServerUnusableError, and what finding server and stores raises.
    """
    # Before anything is started: a file that is no recording is told at once.
    await asyncio.to_thread(read_recording, request.file, Limits(), 1)
    async with (
        find_target(settings, request.url) as target,
        _open_store(target.settings) as database,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        scene = await _set_scene(request, target, database, session)
        recording = await asyncio.to_thread(
            read_recording, request.file, scene.limits, request.invoices_max
        )
        plan = make_plan(recording, request.chances, scene.limits)
        figures = None
        if not request.verify_only:
            await _import(recording, database)
            figures = await _play(request, scene, plan)
        ledger = await asyncio.to_thread(draw_up, request.file, scene.limits, request.invoices_max)
        addresses = _addresses(plan, scene.members)
        with _bar(len(addresses), "comparing", "carts") as progress:
            wrong = await verify(session, scene.url, ledger, addresses, progress)
        return Report(
            recording=recording,
            plan=plan,
            seed=request.chances.seed,
            figures=figures,
            wrong=wrong,
            discrepancies=_discrepancies(plan, ledger),
            compared_lines=sum(len(codes) for codes in ledger.carts.values()),
        )


@contextlib.asynccontextmanager
async def _open_store(settings: Settings) -> AsyncIterator[Database]:
    database = Database(
        settings.mongodb_url or "", settings.mongodb_database, journal=settings.journal is not False
    )
    try:
        await database.check()
        await create_indexes(database)
        yield database
    finally:
        database.close()


async def _set_scene(
    request: Request, target: Target, database: Database, session: aiohttp.ClientSession
) -> _Scene:
    """Make the members' accounts, and ask the server what it allows."""
    settings = target.settings
    users = Users(database)
    sessions = Sessions(
        users,
        SessionRecords(database),
        Tokens(settings.jwt_secret or "", TOKEN_TTL_S),
        idle_s=TOKEN_TTL_S,
        max_s=TOKEN_TTL_S,
    )
    members = await ensure_members(users, sessions, settings.bcrypt_cost, request.chances.members)
    probe = Client(session, target.url, _PROBE_DEVICE, members[0].token, Figures())
    try:
        limits = (await probe.connect(attempts_max=1)).limits
    finally:
        await probe.close()
    return _Scene(session, target.url, members, limits)


async def _import(recording: Recording, database: Database) -> None:
    products = products_of(recording)
    with _bar(len(products), "importing", "products") as progress:
        await import_products(Products(database), products, progress)


async def _play(request: Request, scene: _Scene, plan: Plan) -> Figures:
    figures = Figures()
    # One member may be in all of them.
    at_once = min(request.concurrency, scene.limits.carts_joined)
    clients = make_clients(scene.session, scene.url, plan, scene.members, figures)
    try:
        with _bar(len(plan.jobs), "playing", "invoices") as progress:
            await Player(plan, scene.members, clients, figures, progress).play(at_once)
    finally:
        await asyncio.gather(*(client.close() for client in clients))
    return figures


def _addresses(plan: Plan, members: Sequence[Member]) -> dict[str, Address]:
    """Where the carts must be: that follows from who made them, and under which op_id."""
    addresses = {}
    for invoice, cart in plan.carts.items():
        owner = members[cart.owner.member]
        made = cart_id(owner.user, f"{cart.owner.client}:{CREATE_N}", "")
        addresses[invoice] = Address(made, owner.token)
    return addresses


def _discrepancies(plan: Plan, ledger: Ledger) -> list[str]:
    found = []
    if plan.carts.keys() != ledger.carts.keys():
        different = sorted(plan.carts.keys() ^ ledger.carts.keys())
        found.append(f"one of them has no cart for the invoices {', '.join(different)}")
    uncovered = sum(row.pieces for row in plan.uncovered)
    if uncovered != ledger.owed:
        found.append(f"pieces not covered: {uncovered} by the sender, {ledger.owed} by the ledger")
    return found


@contextlib.contextmanager
def _bar(total: int, what: str, unit: str) -> Iterator[_Advance]:
    """A progress bar on the standard error; gives what advances it, by one or by a number."""
    with tqdm(total=total, desc=what, unit=f" {unit}", mininterval=0.5) as bar:

        def advance(count: int = 1, /) -> None:
            bar.update(count)

        yield advance
