"""Entries as the log stores them, BSON, and back."""

from __future__ import annotations

from typing import Any

import bson
from bson.errors import InvalidDocument, InvalidStringData

from realtime.errors import CartroomError
from realtime.reducer import Entry
from realtime.state import FORMAT, check_format
from storage.oplog import Commit, CommitDocument, commit_id, first_rev


def encode_entry(entry: Entry) -> bytes:
    """The entry's BSON. Raises `bad_request` for what BSON can't hold."""
    document: dict[str, Any] = {
        "op_id": entry.op_id,
        "by": entry.by,
        "at": entry.at,
        "hash": entry.hash,
        "op": entry.op,
    }
    if entry.results is not None:
        document["results"] = entry.results
    try:
        return bson.encode(document)
    except (InvalidDocument, InvalidStringData, OverflowError, UnicodeError) as error:
        raise CartroomError("bad_request", "The op holds what can't be stored.") from error


def encode_commit(cart: str, entries: list[Entry], raws: list[bytes], token: str) -> Commit:
    """The commit of consecutive entries, whose BSON is `raws`."""
    identity = commit_id(cart, entries[0].rev)
    head = bson.encode(
        {
            "_id": identity,
            "cart": cart,
            "last": entries[-1].rev,
            "commit": token,
            "v": FORMAT,
        }
    )
    # The entries are BSON already: spliced in as the array that they are, they cost a copy.
    ops = _framed(b"".join([b"\x03%d\x00%b" % item for item in enumerate(raws)]))
    return Commit(identity, token, _framed(head[4:-1] + b"\x04ops\x00" + ops))


def _framed(elements: bytes) -> bytes:
    """The BSON document of these elements: its size, they, and a zero byte."""
    return (len(elements) + 5).to_bytes(4, "little") + elements + b"\x00"


def decode_entries(document: CommitDocument) -> list[Entry]:
    """The entries of a commit. Raises NewerFormatError."""
    check_format(document)
    first = first_rev(document)
    return [
        Entry(
            rev=first + index,
            op_id=op["op_id"],
            by=op["by"],
            at=op["at"],
            op=op["op"],
            hash=op["hash"],
            results=op.get("results"),
        )
        for index, op in enumerate(document["ops"])
    ]
