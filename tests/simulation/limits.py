"""Small limits, so that small carts and short runs meet what only large ones would."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from unittest.mock import patch

# By the names under which they are looked up; with one limit in several places, all of them.
SMALL: Final[tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]] = (
    (("realtime.recent.RECENT_OPS_MAX",), (1, 4, 16)),
    (("realtime.reducer.CLIENTS_PER_USER_MAX",), (1, 1, 2)),
    (("realtime.deciding.COMMIT_OPS_MAX", "storage.oplog.COMMIT_OPS_MAX"), (1, 2, 5)),
    (("storage.oplog.CANDIDATES_MAX",), (100, 500)),
    (("storage.oplog.TAIL_WINDOW",), (1, 2, 8)),
    # Smaller ones, with long logs and few clients remembered, take longer than anybody waits.
    (("realtime.recovery.SEARCH_WINDOW",), (60, 200)),
    (("realtime.room.ROOM_INBOX_MAX",), (3, 10)),
    (("realtime.room.RACE_RETRIES_MAX",), (0, 2)),
    (("storage.committer.BATCH_COMMITS_MAX",), (1, 2)),
    (("realtime.fanout.publisher.ROUND_ITEMS_MAX",), (1, 3)),
    (("realtime.fanout.inbox.READ_ENTRIES_MAX",), (1, 2)),
    (("realtime.fanout.inbox.TRIM_EVERY_ENTRIES",), (1, 5)),
    (("realtime.fanout.registry.CARTS_PER_SCRIPT",), (1, 2)),
    (("realtime.signin_checks.BATCH_MAX",), (1, 2)),
    (("realtime.signin_checks.EVERY_S",), (0.5, 1.0)),
    (("realtime.signins.ENDINGS_REMEMBERED",), (1, 2)),
)


@contextmanager
def small_limits(rng: random.Random) -> Iterator[None]:
    """For a while, each limit is as it is, or a small one."""
    often = rng.choice([0.0, 0.3, 0.7])
    with ExitStack() as patches:
        for names, values in SMALL:
            chosen, value = rng.random() < often, rng.choice(values)
            for name in names if chosen else ():
                patches.enter_context(patch(name, value))
        yield
