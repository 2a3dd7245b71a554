"""Playing a plan: carts filled by their members at once, then what was taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import aiohttp

from server.replay.client import Client, GaveUpError
from server.replay.connection import RefusedError
from server.replay.figures import Figures
from server.replay.frames import Frame
from server.replay.members import Member
from server.replay.plan import (
    CREATE_N,
    SHARE_N,
    CancellationPlan,
    CartPlan,
    Mishap,
    Part,
    Plan,
    TakeBack,
)
from server.replay.rules import CURRENCY

_UNHARMED = Mishap()


class Player:
    """Plays one plan. `progress` is told of each job done."""

    def __init__(
        self,
        plan: Plan,
        members: Sequence[Member],
        clients: Sequence[Client],
        figures: Figures,
        progress: Callable[[], object],
    ) -> None:
        self._plan = plan
        self._members = members
        self._clients = clients
        self._figures = figures
        self._progress = progress
        self._done = {job.invoice: asyncio.Event() for job in plan.jobs}
        self._carts: dict[str, str] = {}
        self._lines: dict[tuple[str, str, int], str] = {}

    async def play(self, concurrency: int) -> None:
        """Play all jobs, up to `concurrency` at a time. Raises ServerUnusableError."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        jobs = iter(self._plan.jobs)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(self._work(jobs))
        except* Exception as errors:
            raise errors.exceptions[0] from errors
        finally:
            self._figures.played_s = loop.time() - started_s

    async def _work(self, jobs: Iterator[CartPlan | CancellationPlan]) -> None:
        for job in jobs:
            for earlier in self._plan.after[job.invoice]:
                await self._done[earlier].wait()
            try:
                if isinstance(job, CartPlan):
                    await self._play_cart(job)
                else:
                    await self._play_cancellation(job)
            except (RefusedError, GaveUpError) as error:
                # The comparison at the end shows what is missing by it; go on with the others.
                self._figures.fault(f"invoice {job.invoice}: {error}")
            self._done[job.invoice].set()
            self._progress()

    async def _play_cart(self, plan: CartPlan) -> None:
        owner = plan.owner
        client = self._clients[owner.member]
        cart = await client.create_cart(
            f"{owner.client}:{CREATE_N}",
            plan.create,
            name=f"Invoice {plan.invoice}",
            currency=CURRENCY,
        )
        self._carts[plan.invoice] = cart
        grants = [
            {
                "user": self._members[part.member].user,
                "role": "editor" if part.ops else "viewer",
            }
            for part in plan.parts[1:]
        ]
        share = {"kind": "share", "users": grants}
        await client.op(cart, f"{owner.client}:{SHARE_N}", share, plan.share)
        outcomes = await asyncio.gather(
            *(self._play_part(plan.invoice, cart, part) for part in plan.parts),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _play_part(self, invoice: str, cart: str, part: Part) -> None:
        """One member's share: join, add, leave."""
        client = self._clients[part.member]
        if not client.is_in(cart):
            await client.join(cart)
        for op in part.ops:
            items = [{"sku": code, "qty": pieces} for code, pieces in op.items]
            reply = await client.op(
                cart, f"{part.client}:{op.n}", {"kind": "add", "items": items}, op.mishap
            )
            self._figures.items += len(items)
            self._note_lines(invoice, part.member, op.items, reply)
        await client.leave(cart)

    def _note_lines(
        self, invoice: str, member: int, items: Sequence[tuple[str, int]], reply: Frame
    ) -> None:
        """Remember which line each item went to, for those who take it back."""
        results = reply.results or ()
        said = [(result.line, result.qty) for result in results]
        if len(said) != len(items) or any(
            line is None or qty != pieces
            for (line, qty), (_, pieces) in zip(said, items, strict=True)
        ):
            self._figures.fault(f"invoice {invoice}: {items} was answered with {said}")
            return
        for (code, _), (line, _) in zip(items, said, strict=True):
            if line is not None:
                self._lines[(invoice, code, member)] = line

    async def _play_cancellation(self, plan: CancellationPlan) -> None:
        for invoice, ops in plan.carts.items():
            cart = self._carts.get(invoice)
            if cart is None:
                raise GaveUpError(f"invoice {invoice} has no cart to take back from")
            owner = self._plan.carts[invoice].owner
            client = self._clients[owner.member]
            # It was away since the sale: this resumes.
            await client.join(cart)
            for op in ops:
                await client.op(
                    cart, f"{owner.client}:{op.n}", self._take_back(invoice, op), op.mishap
                )
            await client.leave(cart)

    def _take_back(self, invoice: str, op: TakeBack) -> dict[str, Any]:
        line = self._lines.get((invoice, op.code, op.member))
        if line is None:
            raise GaveUpError(f"invoice {invoice} has no line of {op.code} to take back from")
        if op.removes:
            return {"kind": "remove", "line": line}
        return {"kind": "change_quantity", "line": line, "by": -op.pieces}


def make_clients(
    session: aiohttp.ClientSession,
    url: str,
    plan: Plan,
    members: Sequence[Member],
    figures: Figures,
) -> list[Client]:
    """A client a member. None connects before it is needed."""
    return [
        Client(session, url, plan.device(number), member.token, figures)
        for number, member in enumerate(members)
    ]
