"""Bugs to plant into the service, each for the time of a `with`: the simulation must find them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from realtime import judge
from realtime.ops import Op
from realtime.room import Room
from realtime.state import CartState
from storage.committer import Committer, Done, Make
from storage.oplog import Commit, OpLog, Outcome

Planted = AbstractContextManager[Any]


def acknowledge_before_commit() -> Planted:
    """Rooms hear of success when their commit leaves, whatever becomes of it."""
    submit = Committer.submit

    def hasty(self: Committer, make: Make, done: Done) -> None:
        def made() -> Commit | None:
            commit = make()
            if commit is not None:
                done(commit, Outcome.COMMITTED)
            return commit

        submit(self, made, lambda commit, outcome: None)

    return patch.object(Committer, "submit", hasty)


def take_unknown_for_success() -> Planted:
    """A commit whose insert failed without a word counts as made."""
    insert = OpLog.insert

    async def trusting(self: OpLog, commits: Sequence[Commit]) -> list[Outcome]:
        outcomes = await insert(self, commits)
        return [Outcome.COMMITTED if one is Outcome.UNKNOWN else one for one in outcomes]

    return patch.object(OpLog, "insert", trusting)


def take_a_duplicate_for_success() -> Planted:
    """Only our own earlier attempt can hold the key: so thinks who is alone."""

    async def trusting(
        _self: OpLog, _commits: Sequence[Commit], outcomes: list[Outcome], duplicates: list[int]
    ) -> None:
        for index in duplicates:
            outcomes[index] = Outcome.COMMITTED

    return patch.object(OpLog, "_resolve_duplicates", trusting)


def forget_numbers_on_load() -> Planted:
    """What clients sent before a cart was opened is not recognised when they send it again."""
    from_document = CartState.from_document

    def forgetful(document: dict[str, Any]) -> CartState:
        return from_document({**document, "clients": [], "evicted": []})

    return patch.object(CartState, "from_document", forgetful)


def judge_on_a_stale_role() -> Planted:
    """Who was let do something once may do it for ever."""
    check = judge.check_access
    allowed: set[tuple[str, str, type[Op]]] = set()

    def lenient(state: CartState, op: Op, user: str) -> None:
        key = (state.cart, user, type(op))
        if key not in allowed:
            check(state, op, user)
            allowed.add(key)

    return patch.object(judge, "check_access", lenient)


def commit_for_who_is_signed_out() -> Planted:
    """What was judged already goes into a commit, whoever asked for it."""
    return patch.object(Room, "refuse_ended", lambda _self: None)
