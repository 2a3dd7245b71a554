"""Judges what clients saw against the sequential specification, from their records alone.

    violations = check(history)                      # what clients sent and received
    violations = check(history, logs, snapshots)     # and what the stores hold in the end
    assert_clean(history, logs, snapshots)           # prints them, keeps the history in a file

A history that was kept is judged again by `python -m tests.checker FILE`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from commerce.catalog.product import Product
from tests.checker.evidence import gather
from tests.checker.linear import Timeline
from tests.checker.replay import Replay
from tests.checker.sessions import sessions, unjustified_refusals
from tests.checker.violation import Violation
from tests.history import History

__all__ = ["Violation", "assert_clean", "check", "keep"]

Message = dict[str, Any]
SHOWN_MAX = 10


def check(
    history: History,
    logs: Mapping[str, Iterable[Message]] | None = None,
    snapshots: Mapping[str, Message] | None = None,
    *,
    products: Iterable[Product] = (),
    one_server: bool = False,
) -> list[Violation]:
    """What is wrong with a history; empty if it could have come from the sequential cart.

    `logs` holds by cart the ops `{rev, op_id, by, at, op, results?}` that the store has in the
    end, all of them in order; `at` as on the wire or in ms. `snapshots` holds by cart a stored
    document `{rev, name, note, status, lines, saved, members}`. `products` are those of the
    catalog, which must not have changed in the run; without them stock, names and prices are
    taken as told. `one_server` says that there never were two at a time: then no join and no
    history may be older than anything known before.

    What clients outside of the history did before its first op is taken as it is; after that,
    every op must have been sent in it.
    """
    evidence = gather(history, logs, snapshots)
    catalog = {product.sku: product for product in products}
    found: list[Violation] = []
    members: dict[str, Mapping[int, frozenset[str]]] = {}
    for name, cart in list(evidence.carts.items()):
        timeline = Timeline(evidence, cart)
        found += timeline.violations()
        replay = Replay(evidence, timeline, catalog)
        found += replay.violations()
        members[name] = replay.members
        found += unjustified_refusals(evidence, timeline, replay.members)
    found += sessions(evidence, members, one_server=one_server)
    return found


def assert_clean(
    history: History,
    logs: Mapping[str, Iterable[Message]] | None = None,
    snapshots: Mapping[str, Message] | None = None,
    *,
    products: Iterable[Product] = (),
    one_server: bool = False,
) -> None:
    """Fail with what `check` finds, in words and with its proof; the history stays in a file."""
    found = check(history, logs, snapshots, products=products, one_server=one_server)
    if found:
        shown = "\n".join(str(violation) for violation in found[:SHOWN_MAX])
        raise AssertionError(f"{len(found)} violations; the history is in {keep(history)}\n{shown}")


def keep(history: History) -> str:
    """Write the history to a temporary file that stays; returns its path."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="cartroom-history-", suffix=".jsonl", delete=False
    ) as file:
        file.writelines(f"{line}\n" for line in history.to_json())
    return file.name
