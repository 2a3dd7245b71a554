"""Histories: what is recorded comes back from a file as it was."""

from __future__ import annotations

from tests.history import CLOSED, OPENED, RECEIVED, SENT, History


def test_records_have_one_order_over_all_sockets() -> None:
    history = History()
    ana = history.opened("usr_a", "device 1")
    history.sent(ana, {"id": 1, "type": "ping"})
    bea = history.opened("usr_b", "device 2")
    history.received(ana, {"id": 1, "type": "pong"})
    history.closed(bea)

    assert ana != bea
    assert [record.seq for record in history.records] == [1, 2, 3, 4, 5]
    assert [record.what for record in history.records] == [OPENED, SENT, OPENED, RECEIVED, CLOSED]
    assert [record.user for record in history.records] == [
        *("usr_a", "usr_a", "usr_b", "usr_a", "usr_b")
    ]


def test_a_file_brings_the_records_back() -> None:
    history = History()
    conn = history.opened("usr_a", "device 1")
    history.sent(conn, {"id": 1, "type": "cart.op", "op": {"kind": "note", "text": "ä\n\u2028"}})
    lines = list(history.to_json())

    assert all("\n" not in line for line in lines)
    assert History.from_json([f"{line}\n" for line in lines]).records == history.records
