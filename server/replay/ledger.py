"""What the file says that every cart must hold, worked out apart from the sender.

This module reads the file again and shares with the sender nothing but the definitions in
`rules` and the unpacking of gzip. Where the sender goes through time forwards and keeps what can
still be taken back, the ledger goes backwards and keeps what is still owed.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from realtime.limits import Limits
from server.replay import rules
from server.replay.recording import read_bytes


@dataclass(frozen=True, slots=True)
class Ledger:
    """`carts` maps each sale invoice to its quantities by code, those above zero.

    `owed` is the number of pieces that cancellations took back and no sale covers.
    """

    carts: dict[str, dict[str, int]]
    owed: int


@dataclass(frozen=True, slots=True)
class _Entry:
    when: tuple[datetime, int]
    invoice: str
    code: str
    pieces: int
    customer: str


def draw_up(path: Path, limits: Limits, invoices_max: int | None = None) -> Ledger:
    """The ledger of a file, or of its first `invoices_max` invoices. Raises RecordingError."""
    entries = list(_entries(path, limits, invoices_max))
    carts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    owed: defaultdict[tuple[str, str], int] = defaultdict(int)
    nobody = 0
    for entry in sorted(entries, key=lambda entry: entry.when, reverse=True):
        if entry.pieces < 0:
            if entry.customer:
                owed[(entry.customer, entry.code)] -= entry.pieces
            else:
                nobody -= entry.pieces
            continue
        kept = entry.pieces
        if entry.customer:
            returned = min(kept, owed[(entry.customer, entry.code)])
            owed[(entry.customer, entry.code)] -= returned
            kept -= returned
        carts[entry.invoice][entry.code] += kept
    return Ledger(
        {
            invoice: {code: pieces for code, pieces in codes.items() if pieces}
            for invoice, codes in carts.items()
        },
        nobody + sum(owed.values()),
    )


def _entries(path: Path, limits: Limits, invoices_max: int | None) -> Iterator[_Entry]:
    """The rows that count, in the order of the file, as signed pieces."""
    wanted: dict[str, dict[str, int]] = {}
    for line, record in _records(read_bytes(path)):
        invoice = record["InvoiceNo"].strip()
        if invoice and invoice not in wanted:
            if invoices_max is not None and len(wanted) >= invoices_max:
                continue
            wanted[invoice] = {}
        entry = _entry(line, {name: value.strip() for name, value in record.items()}, limits)
        if entry is None:
            continue
        if entry.pieces > 0:
            bought = wanted[invoice]
            in_total = bought.get(entry.code, 0) + entry.pieces
            if in_total > limits.pieces or len(bought.keys() | {entry.code}) > limits.lines:
                continue
            bought[entry.code] = in_total
        yield entry


def _records(content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Records with as many fields as the header, each with a number that rises."""
    lines = csv.reader(
        io.StringIO(content.decode("utf-8-sig", errors="surrogateescape"), newline="")
    )
    header = [name.strip() for name in next(lines)]
    number = 0
    while True:
        number += 1
        try:
            record = next(lines)
        except StopIteration:
            return
        except csv.Error:
            continue
        if len(record) == len(header):
            yield number, dict(zip(header, record, strict=True))


def _entry(line: int, record: dict[str, str], limits: Limits) -> _Entry | None:
    """The entry that a record makes, or None for a record that doesn't count."""
    invoice, code = record["InvoiceNo"], record["StockCode"]
    cancels = invoice.startswith(rules.CANCELLATION_PREFIX)
    pieces = _whole_number(record["Quantity"])
    when = _moment(record["InvoiceDate"])
    good = (
        _is_text("".join(record.values()))
        and 0 < len(invoice) <= rules.INVOICE_CHARS_MAX
        and 0 < len(code) <= rules.CODE_CHARS_MAX
        and code.casefold() not in rules.NO_PRODUCTS
        and _is_price(record["UnitPrice"])
        and 0 < (-pieces if cancels else pieces) <= limits.pieces
    )
    if not good or when is None:
        return None
    return _Entry((when, line), invoice, code, pieces, record["CustomerID"])


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _whole_number(text: str) -> int:
    """The number, or 0, which no row may have, where there is none of up to twelve digits."""
    digits = text[1:] if text.startswith(("+", "-")) else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12:
        return 0
    return -int(digits) if text.startswith("-") else int(digits)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


def _is_price(text: str) -> bool:
    try:
        price = Decimal(text)
    except InvalidOperation:
        return False
    return price.is_finite() and 0 <= price <= rules.PRICE_MAX // 100 and price == round(price, 2)
