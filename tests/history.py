"""What clients did and saw, in one order: the evidence that `tests.checker` judges.

Every socket of a run notes what it sends, just before it does, and what it receives, as it reads
it. All note into one `History` in one process, so the order of its records is real time: what
was received before something else was sent had happened before it was asked for.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

Message = dict[str, Any]

OPENED: Final = "opened"
SENT: Final = "sent"
RECEIVED: Final = "received"
CLOSED: Final = "closed"


@dataclass(frozen=True, slots=True)
class Record:
    """One step of one socket. `message` is the frame's object for `sent` and `received`."""

    seq: int
    conn: str
    user: str
    client: str
    what: str
    message: Message | None = None

    def __str__(self) -> str:
        said = "" if self.message is None else " " + json.dumps(self.message)
        return f"#{self.seq} {self.conn} ({self.user}) {self.what}{said}"


class History:
    """The records of a run. `seq` counts from 1 and rises with real time."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._who: dict[str, tuple[str, str]] = {}
        self._conns = itertools.count(1)

    def opened(self, user: str, client: str) -> str:
        """A socket of a user's client is open; returns a name that no other socket has."""
        conn = f"c{next(self._conns)}"
        self._who[conn] = (user, client)
        self._note(conn, OPENED, None)
        return conn

    def sent(self, conn: str, message: Message) -> None:
        """Call it just before the message goes out, also when it then doesn't get through."""
        self._note(conn, SENT, message)

    def received(self, conn: str, message: Message) -> None:
        """Call it as soon as the message was read, in the order of reading."""
        self._note(conn, RECEIVED, message)

    def closed(self, conn: str) -> None:
        """Nothing more will be read from this socket."""
        self._note(conn, CLOSED, None)

    def _note(self, conn: str, what: str, message: Message | None) -> None:
        user, client = self._who[conn]
        self.records.append(Record(len(self.records) + 1, conn, user, client, what, message))

    # Files

    def to_json(self) -> Iterator[str]:
        """One line of JSON a record."""
        for record in self.records:
            yield json.dumps(asdict(record))

    @classmethod
    def from_json(cls, lines: Iterable[str]) -> History:
        """The history that `to_json` wrote. It can be checked; don't record into it."""
        history = cls()
        history.records = [Record(**json.loads(line)) for line in lines if line.strip()]
        return history
