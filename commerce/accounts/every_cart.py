"""Doing something in every cart of a user, until they are in none any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from storage.memberships import Membership, Memberships


async def in_every_cart(
    memberships: Memberships,
    user: str,
    page: int,
    slots: asyncio.Semaphore,
    act: Callable[[Membership], Awaitable[None]],
) -> None:
    """Call `act`, which ends a membership, for each; for those that come meanwhile, too.

    `page` are looked up at once, and as many are under way as `slots` allow. Raises what `act` has
    raised, once those beside it have ended.
    """

    async def one_at_a_slot(membership: Membership) -> None:
        async with slots:
            await act(membership)

    done: set[Membership] = set()
    while found := set(await memberships.of_user(user, page)) - done:
        outcomes = await asyncio.gather(*map(one_at_a_slot, found), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        done |= found
