"""`python -m tests.dying STEP serve …`: `cartroom serve …` that is killed at a step of a merge.

Each of `STEPS` names what it has just done, or is about to do, when it dies as by SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Final
from unittest.mock import patch

from commerce.accounts.guests import Guests
from commerce.accounts.sessions import Sessions
from realtime.acting import ActingRooms
from server.cli import main
from storage.memberships import Memberships
from storage.merges import MergeRecords
from storage.notifications import Notifications
from storage.users import Users

BEFORE, AFTER = "before", "after"
STEPS: Final[dict[str, tuple[Any, str, str]]] = {
    "nothing": (MergeRecords, "add", BEFORE),
    "intended": (MergeRecords, "add", AFTER),
    "barred": (Users, "begin_merge", AFTER),
    "left": (Memberships, "put", AFTER),
    "one-cart": (ActingRooms, "merge", AFTER),
    "inbox": (Notifications, "move", AFTER),
    "all-carts": (Users, "bury_guest", BEFORE),
    "buried": (Users, "bury_guest", AFTER),
    "unanswered": (Sessions, "open", AFTER),
}


def die_at(step: str) -> Any:
    owner, method, when = STEPS[step]
    original = getattr(owner, method)

    async def deadly(*args: Any, **kwargs: Any) -> Any:
        if when == AFTER:
            await original(*args, **kwargs)
        if step == "left" and args[1].role is not None:
            return  # it is the guest who has left
        os.kill(os.getpid(), signal.SIGKILL)

    return patch.object(owner, method, deadly)


async def _nothing(_guests: Guests) -> None:
    pass


if __name__ == "__main__":
    # Of what others have begun it does nothing: it is to die of its own.
    with patch.object(Guests, "complete", _nothing), die_at(sys.argv[1]):
        sys.exit(main(sys.argv[2:]))
