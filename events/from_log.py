"""Events from the op log. Every entry is one, refusals too: consumers can see that none is missing.

An entry of a newer version becomes an event as it is: what is told of it is what was logged.
"""

from __future__ import annotations

from events.event import CART, Event
from storage.oplog import CommitDocument, commit_id, first_rev
from storage.times import rfc3339


def events_of(commit: CommitDocument) -> list[Event]:
    """The events of a commit, in order."""
    cart: str = commit["cart"]
    events = []
    for rev, entry in enumerate(commit["ops"], first_rev(commit)):
        op = entry["op"]
        data = {
            "cart": cart,
            "rev": rev,
            "op_id": entry["op_id"],
            "by": entry["by"],
            "at": rfc3339(entry["at"]),
            "op": op,
        }
        events.append(
            Event(
                # One name for an op, whichever commit it is in.
                id=commit_id(cart, rev),
                type=CART + op["kind"],
                subject=cart,
                key=cart,
                sequence=rev,
                time_ms=entry["at"],
                data=data,
            )
        )
    return events
