"""A replay before it meets a server: reading, planning, and the ledger that checks it."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.limits import Limits
from server.replay.cancellations import cover
from server.replay.frames import Frame, SeenOp
from server.replay.ledger import draw_up
from server.replay.plan import (
    CancellationPlan,
    CartPlan,
    Chances,
    Fault,
    Plan,
    make_plan,
)
from server.replay.products import products_of
from server.replay.recording import RecordingError, Row, read_recording
from server.replay.rules import COLUMNS
from server.replay.view import View

SHOP = Path(__file__).parent / "data" / "shop.csv"
LIMITS = Limits()
CHANCES = Chances(seed=1, members=8, drop_rate=0.1, resend_rate=0.1)


def write_csv(
    folder: Path, rows: Iterable[Iterable[object]], header: Iterable[str] = COLUMNS
) -> Path:
    path = folder / "recording.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def quantities_after(plan: Plan) -> dict[str, dict[str, int]]:
    """What the carts hold when the plan has been played."""
    held: dict[str, Counter[str]] = {invoice: Counter() for invoice in plan.carts}
    for job in plan.jobs:
        if isinstance(job, CartPlan):
            for part in job.parts:
                for op in part.ops:
                    for code, pieces in op.items:
                        held[job.invoice][code] += pieces
        else:
            for invoice, ops in job.carts.items():
                for op in ops:
                    held[invoice][op.code] -= op.pieces
    return {invoice: dict(+codes) for invoice, codes in held.items()}


# Reading


def test_every_row_is_a_sale_a_cancellation_or_refused_by_line_and_reason() -> None:
    recording = read_recording(SHOP, LIMITS)
    assert [row.line for row in recording.sales] == [2, 3, 4, 6, 7, 8, 9, 11, 13, 27, 29, 31]
    assert [(row.line, row.quantity) for row in recording.cancellations] == [
        (12, 7),
        (14, 9),
        (15, 1),
        (30, 100_000),
        (32, 4),
    ]
    assert [(row.line, row.reason) for row in recording.refused] == [
        (5, "no product: POST, postage"),
        (10, "Quantity: a sale of no pieces or fewer"),
        (16, "no product: D, discount"),
        (17, "Quantity: a cancellation that takes nothing back"),
        (18, "Quantity is no whole number"),
        (19, "Quantity above 100000"),
        (20, "InvoiceDate is no ISO date"),
        (21, "UnitPrice is no number"),
        (22, "UnitPrice is negative"),
        (23, "UnitPrice is not in whole pence"),
        (24, "StockCode is empty or too long"),
        (25, "InvoiceNo is empty or too long"),
        (26, "4 fields instead of 8"),
        (28, "more than 100000 pieces of a code in one invoice"),
    ]
    assert recording.invoices == 15


def test_a_slice_is_the_first_invoices() -> None:
    recording = read_recording(SHOP, LIMITS, 2)
    assert {row.invoice for row in recording.sales} == {"1001", "1002"}
    assert recording.fingerprint == read_recording(SHOP, LIMITS).fingerprint


def test_a_gzip_file_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes(gzip.compress(SHOP.read_bytes()))
    assert read_recording(path, LIMITS).sales == read_recording(SHOP, LIMITS).sales


def test_bytes_that_are_no_text_cost_their_row_only(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes(SHOP.read_bytes().replace(b"RED MUG", b"RED \xff MUG", 1))
    recording = read_recording(path, LIMITS)
    assert (3, "not UTF-8") in [(row.line, row.reason) for row in recording.refused]
    assert len(recording.sales) == 11


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "line 1: columns missing: InvoiceNo, StockCode"),
        (b"InvoiceNo,Quantity\n1,2\n", "line 1: columns missing: StockCode, Description"),
        (gzip.compress(SHOP.read_bytes())[:-30], "can't be read"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=complaint) as refusal:
        read_recording(path, LIMITS)
    assert str(path) in str(refusal.value)


def test_a_products_name_and_price_are_those_met_most_often() -> None:
    products = {product.sku: product for product in products_of(read_recording(SHOP, LIMITS))}
    assert (products["MUG-B"].name, products["MUG-B"].price) == ("BLUE MUG", 450)
    assert products["TEA-1"].name == "ASSAM TEA"
    assert products["TEA-2"].price == 0
    assert products["LAMP"].name == "LAMP"
    assert {product.currency for product in products.values()} == {"GBP"}
    assert {product.available for product in products.values()} == {None}


# Cancellations


def test_the_newest_sales_are_taken_back_first() -> None:
    plan = make_plan(read_recording(SHOP, LIMITS), CHANCES, LIMITS)
    held = quantities_after(plan)
    # C1005 takes the five of 1004, then two of the eight in 1001; C1007 the one of 1006, then six.
    assert held["1004"] == {}
    assert held["1006"] == {}
    assert held["1001"] == {"MUG-R": 6}
    # C1013 takes all of 1012, and nothing of 1002.
    assert held["1012"] == {}
    assert held["1002"] == {"TEA-1": 11, "TEA-2": 4}
    assert [(row.line, row.pieces, row.reason) for row in plan.uncovered] == [
        (14, 2, "no earlier sale"),
        (15, 1, "names no customer"),
    ]


START = datetime(2026, 1, 1)  # noqa: DTZ001 - recordings have no zones
EVENTS = st.lists(
    st.tuples(
        st.booleans(), st.integers(1, 9), st.sampled_from(["", "ann", "bob"]), st.sampled_from("XY")
    ),
    max_size=30,
)


@given(EVENTS)
def test_cancellations_take_back_piece_by_piece_what_was_sold_last(
    events: list[tuple[bool, int, str, str]],
) -> None:
    rows = [
        (sells, Row(line, f"{line}", code, "", pieces, START + timedelta(days=line), 0, customer))
        for line, (sells, pieces, customer, code) in enumerate(events)
    ]
    covers, uncovered = cover(
        [row for sells, row in rows if sells], [row for sells, row in rows if not sells]
    )
    # The same again, with single pieces on a pile.
    piles: dict[tuple[str, str], list[Row]] = {}
    missing: Counter[int] = Counter()
    for sells, row in rows:
        pile = piles.setdefault((row.customer, row.code), []) if row.customer else []
        if sells:
            pile.extend([row] * row.quantity)
            continue
        taken = [pile.pop() for _ in range(min(row.quantity, len(pile)))]
        assert Counter(taken) == Counter(dict(covers[row]))
        if len(taken) < row.quantity:
            missing[row.line] = row.quantity - len(taken)
    assert {row.line: row.pieces for row in uncovered} == missing


# The ledger


CELLS = {
    "InvoiceNo": st.sampled_from(["1", "2", "3", "C4", "C5", "", " 1 ", "x" * 65]),
    "StockCode": st.sampled_from(["A", "a", "B", "POST", "m", "", "y" * 65]),
    "Description": st.sampled_from(["", "thing", 'quoted "thing"', "two\nlines"]),
    "Quantity": st.one_of(
        st.integers(-12, 12).map(str),
        st.sampled_from(["", "+3", "1.0", "1e3", "60000", "-60000", "100001", "9" * 5000, "٣"]),
    ),
    "InvoiceDate": st.sampled_from(
        [*(f"2026-01-0{day}T10:00:00" for day in range(1, 8)), "2026-01-03T10:00:00+05:00", "soon"]
    ),
    "UnitPrice": st.sampled_from(["1.50", "0", "-1", "NaN", "inf", "", "1.005", "1e9", "1E-400"]),
    "CustomerID": st.sampled_from(["", "ann", "bob"]),
    "Country": st.just("Malta"),
}
GOOD_CELLS = {
    **CELLS,
    "InvoiceNo": st.sampled_from(["1", "2", "3", "C4", "C5"]),
    "StockCode": st.sampled_from("AB"),
    "InvoiceDate": st.sampled_from([f"2026-01-0{day}T10:00:00" for day in range(1, 8)]),
    "UnitPrice": st.just("1.50"),
}
ROWS = st.lists(st.one_of(st.tuples(*GOOD_CELLS.values()), st.tuples(*CELLS.values())), max_size=25)


@given(ROWS, st.one_of(st.none(), st.integers(1, 4)), st.integers(1, 3))
def test_the_ledger_and_the_plan_agree_on_any_file(
    rows: list[tuple[str, ...]], invoices_max: int | None, lines_max: int
) -> None:
    limits = Limits(lines=lines_max)
    with tempfile.TemporaryDirectory() as folder:
        path = write_csv(Path(folder), rows)
        recording = read_recording(path, limits, invoices_max)
        ledger = draw_up(path, limits, invoices_max)
    plan = make_plan(recording, CHANCES, limits)
    assert quantities_after(plan) == ledger.carts
    assert sum(row.pieces for row in plan.uncovered) == ledger.owed
    records = len(list(csv.reader(io.StringIO(csv_text(rows))))) if rows else 0
    if invoices_max is None:
        counted = recording.sales + recording.cancellations + recording.refused
        assert len(counted) == records


def csv_text(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def test_the_ledger_knows_the_shop() -> None:
    ledger = draw_up(SHOP, LIMITS)
    assert ledger.carts == {
        "1001": {"MUG-R": 6},
        "1002": {"TEA-1": 11, "TEA-2": 4},
        "1003": {"LAMP": 1},
        "1004": {},
        "1006": {},
        "1012": {},
        "1014": {"MUG-R": 6},
    }
    assert ledger.owed == 3


# Planning


def test_a_plan_is_the_same_each_time_and_a_slice_is_its_beginning() -> None:
    whole = make_plan(read_recording(SHOP, LIMITS), CHANCES, LIMITS)
    again = make_plan(read_recording(SHOP, LIMITS), CHANCES, LIMITS)
    assert again == whole
    part = make_plan(read_recording(SHOP, LIMITS, 5), CHANCES, LIMITS)
    assert part.jobs == whole.jobs[: len(part.jobs)]
    other = make_plan(
        read_recording(SHOP, LIMITS), Chances(seed=2, members=8, drop_rate=0, resend_rate=0), LIMITS
    )
    assert other.identity != whole.identity


def long_invoice(folder: Path, rows: int) -> Path:
    at = START.isoformat()
    return write_csv(
        folder, [("1", f"P{row % 700}", "", 1, at, "1.00", "", "Malta") for row in range(rows)]
    )


def test_ops_numbers_and_lines_stay_within_the_limits(tmp_path: Path) -> None:
    limits = Limits(lines=700, items=6, members=4)
    recording = read_recording(long_invoice(tmp_path, 1_200), limits)
    (cart,) = make_plan(recording, CHANCES, limits).carts.values()
    lines = {(code, part.member) for part in cart.parts for op in part.ops for code, _ in op.items}
    assert len(lines) == 700
    assert 2 <= len(cart.parts) <= 4
    assert len({part.member for part in cart.parts}) == len(cart.parts)
    for place, part in enumerate(cart.parts):
        first = 3 if place == 0 else 1  # the owner has created and shared before
        assert [op.n for op in part.ops] == list(range(first, first + len(part.ops)))
        assert all(1 <= len(op.items) <= 6 for op in part.ops)


def test_codes_beyond_a_carts_lines_are_refused(tmp_path: Path) -> None:
    limits = Limits(lines=100)
    path = long_invoice(tmp_path, 150)
    recording = read_recording(path, limits)
    assert [row.line for row in recording.refused] == list(range(102, 152))
    assert len(draw_up(path, limits).carts["1"]) == 100


def test_a_job_waits_for_earlier_ones_only() -> None:
    plan = make_plan(read_recording(SHOP, LIMITS), CHANCES, LIMITS)
    order = {job.invoice: place for place, job in enumerate(plan.jobs)}
    waits = {job.invoice: plan.after[job.invoice] for job in plan.jobs}
    assert waits["C1005"] == {"1001", "1004"}
    assert waits["C1007"] == {"C1005", "1006"}
    assert all(order[earlier] < order[job] for job in order for earlier in waits[job])


def test_the_last_to_take_back_removes_the_line() -> None:
    plan = make_plan(read_recording(SHOP, LIMITS), CHANCES, LIMITS)
    taken = [
        (job.invoice, cart, op.pieces, op.removes)
        for job in plan.jobs
        if isinstance(job, CancellationPlan)
        for cart, ops in job.carts.items()
        for op in ops
        if cart in ("1004", "1006")
    ]
    assert taken == [("C1005", "1004", 5, True), ("C1007", "1006", 1, True)]


def test_rates_of_nought_and_one_harm_no_op_and_every_op() -> None:
    recording = read_recording(SHOP, LIMITS)
    for drop_rate, allowed in (
        (0.0, {Fault.NONE}),
        (1.0, {Fault.CUT_BEFORE, Fault.CUT_AFTER}),
    ):
        chances = Chances(seed=1, members=8, drop_rate=drop_rate, resend_rate=0.0)
        plan = make_plan(recording, chances, LIMITS)
        faults = {
            op.mishap.fault
            for cart in plan.carts.values()
            for part in cart.parts
            for op in part.ops
        }
        assert faults <= allowed


# What a client is told


def ok(rev: int) -> Frame:
    return Frame("ok", id=1, rev=rev)


def ops(*revs: int) -> Frame:
    return Frame("cart.ops", ops=tuple(SeenOp(rev) for rev in revs))


def test_a_view_takes_each_rev_once_and_in_order() -> None:
    complaints: list[str] = []
    view = View("crt_1", complaints.append)
    view.on_joined(Frame("ok", rev=4), "connection", 0)
    view.on_pushed(ops(5, 6))
    view.on_done(ok(7), "c:1")
    view.on_done(ok(5), "c:2")  # sent before
    view.on_joined(Frame("ok", rev=9, ops=(SeenOp(8), SeenOp(9, "c:3"))), "another", 7)
    view.on_done(ok(9), "c:3")
    view.on_left()
    assert complaints == []
    assert view.rev == 9


def test_a_view_notices_repeats_gaps_and_what_never_came() -> None:
    complaints: list[str] = []
    view = View("crt_1", complaints.append)
    view.on_joined(Frame("ok", rev=4), "connection", 0)
    view.on_pushed(ops(4))
    view.on_pushed(ops(6))
    view.on_done(ok(9), "c:1")
    view.on_left()
    view.on_joined(Frame("ok", rev=9, ops=(SeenOp(9, "c:2"),)), "connection", 6)
    view.on_done(ok(8), "c:2")
    view.on_state(Frame("cart.state", rev=3))
    assert complaints == [
        "pushed rev 4 after 4",
        "pushed rev 6 after 4",
        "never told of revs 7 to 9",
        "resumed from rev 6 to 9 with revs [9]",
        "c:2 was resumed as rev 9, its ok says 8",
        "got a state of rev 3 after 9",
    ]
