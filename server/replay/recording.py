"""Reading a recording: rows that can be played, and rows refused with line and reason."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from realtime.limits import Limits
from server.replay.rules import (
    CANCELLATION_PREFIX,
    CODE_CHARS_MAX,
    COLUMNS,
    FILE_BYTES_MAX,
    INVOICE_CHARS_MAX,
    NO_PRODUCTS,
    PRICE_MAX,
)

_GZIP_MAGIC: Final = b"\x1f\x8b"
_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,12}", re.ASCII)
_PENNY: Final = Decimal("0.01")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class RecordingError(Exception):
    """The file can't be read as a recording. The message names it and says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an invoice. `quantity` is positive: pieces sold, or pieces taken back.

    `price` is in minor units, `at` without a zone, `line` the row's first line in the file.
    """

    line: int
    invoice: str
    code: str
    description: str
    quantity: int
    at: datetime
    price: int
    customer: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that isn't played, and why. Invoice and code are as in the file, or empty."""

    line: int
    invoice: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recording:
    """What was read. Rows are in the order of their dates, then of the file.

    `fingerprint` identifies the whole file's content, also when only a slice of it was asked for.
    """

    path: Path
    fingerprint: str
    sales: tuple[Row, ...]
    cancellations: tuple[Row, ...]
    refused: tuple[Refusal, ...]
    invoices: int


class _RefusedRowError(Exception):
    """This row isn't played; the message is the reason."""


def read_bytes(path: Path) -> bytes:
    """The file's content, unpacked when it is gzip. Raises RecordingError."""
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP_MAGIC
            plain.seek(0)
            source = gzip.GzipFile(fileobj=plain) if packed else plain
            content = source.read(FILE_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"{path}: can't be read: {error}") from error
    if len(content) > FILE_BYTES_MAX:
        raise RecordingError(f"{path}: larger than {FILE_BYTES_MAX // 2**20} MiB unpacked")
    return content


def read_recording(path: Path, limits: Limits, invoices_max: int | None = None) -> Recording:
    """Read a recording, or the rows of its first `invoices_max` invoices.

    `limits` are those of the server that it will be played to. Raises RecordingError when the
    file as a whole can't be used; a bad row is among `refused`.
    """
    content = read_bytes(path)
    collector = _Collector(limits, invoices_max)
    for line, cells in _records(path, content):
        collector.take(line, cells)
    return Recording(
        path=path,
        fingerprint=hashlib.sha256(content).hexdigest(),
        sales=_in_order(collector.sales),
        cancellations=_in_order(collector.cancellations),
        refused=tuple(collector.refused),
        invoices=len(collector.invoices),
    )


def _in_order(rows: list[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: (row.at, row.line)))


def _records(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Each record's first line with its cells by column, or with what is wrong with it."""
    text = content.decode("utf-8-sig", errors="surrogateescape")
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise RecordingError(f"{path}: line 1: {error}") from error
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise RecordingError(f"{path}: line 1: columns missing: {', '.join(missing)}")
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield line, f"not CSV: {error}"
            continue
        if cells is None:
            return
        if not cells:
            continue
        if len(cells) != len(header):
            yield line, f"{len(cells)} fields instead of {len(header)}"
        else:
            yield line, dict(zip(header, (cell.strip() for cell in cells), strict=True))


@dataclass(slots=True)
class _Collector:
    """Sorts records into sales, cancellations and refusals, in the order of the file."""

    limits: Limits
    invoices_max: int | None
    sales: list[Row] = field(default_factory=list)
    cancellations: list[Row] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    invoices: set[str] = field(default_factory=set)
    _pieces: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def take(self, line: int, cells: dict[str, str] | str) -> None:
        if isinstance(cells, str):
            self.refused.append(Refusal(line, "", "", cells))
            return
        invoice = cells["InvoiceNo"]
        if invoice and not self._in_slice(invoice):
            return
        try:
            row = _row(line, cells, self.limits)
            if invoice.startswith(CANCELLATION_PREFIX):
                self.cancellations.append(row)
            else:
                self._check_cart(row)
                self.sales.append(row)
        except _RefusedRowError as reason:
            self.refused.append(
                Refusal(line, _printable(invoice), _printable(cells["StockCode"]), str(reason))
            )

    def _in_slice(self, invoice: str) -> bool:
        if invoice in self.invoices:
            return True
        if self.invoices_max is not None and len(self.invoices) >= self.invoices_max:
            return False
        self.invoices.add(invoice)
        return True

    def _check_cart(self, row: Row) -> None:
        """Refuse a row that a cart has no room for, whoever of its members adds it."""
        pieces = self._pieces[row.invoice]
        if row.code not in pieces and len(pieces) >= self.limits.lines:
            raise _RefusedRowError(f"more than {self.limits.lines} codes in one invoice")
        if pieces[row.code] + row.quantity > self.limits.pieces:
            raise _RefusedRowError(
                f"more than {self.limits.pieces} pieces of a code in one invoice"
            )
        pieces[row.code] += row.quantity


def _printable(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


def _row(line: int, cells: dict[str, str], limits: Limits) -> Row:
    """A row that can be played. Raises _RefusedRowError."""
    if any(_SURROGATE.search(cell) for cell in cells.values()):
        raise _RefusedRowError("not UTF-8")
    invoice, code = cells["InvoiceNo"], cells["StockCode"]
    if not invoice or len(invoice) > INVOICE_CHARS_MAX:
        raise _RefusedRowError("InvoiceNo is empty or too long")
    if not code or len(code) > CODE_CHARS_MAX:
        raise _RefusedRowError("StockCode is empty or too long")
    meaning = NO_PRODUCTS.get(code.casefold())
    if meaning is not None:
        raise _RefusedRowError(f"no product: {code.upper()}, {meaning}")
    return Row(
        line=line,
        invoice=invoice,
        code=code,
        description=cells["Description"],
        quantity=_quantity(cells["Quantity"], invoice.startswith(CANCELLATION_PREFIX), limits),
        at=_date(cells["InvoiceDate"]),
        price=_price(cells["UnitPrice"]),
        customer=cells["CustomerID"],
    )


def _quantity(text: str, cancels: bool, limits: Limits) -> int:
    if not _WHOLE_NUMBER.fullmatch(text):
        raise _RefusedRowError("Quantity is no whole number")
    quantity = int(text)
    if cancels:
        quantity = -quantity
    if quantity <= 0:
        what = (
            "a cancellation that takes nothing back" if cancels else "a sale of no pieces or fewer"
        )
        raise _RefusedRowError(f"Quantity: {what}")
    if quantity > limits.pieces:
        raise _RefusedRowError(f"Quantity above {limits.pieces}")
    return quantity


def _date(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise _RefusedRowError("InvoiceDate is no ISO date") from None


def _price(text: str) -> int:
    """Minor units. A price of zero is good: real invoices give things away."""
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise _RefusedRowError("UnitPrice is no number") from None
    if not price.is_finite():
        raise _RefusedRowError("UnitPrice is no number")
    if price < 0:
        raise _RefusedRowError("UnitPrice is negative")
    if price > PRICE_MAX // 100:
        raise _RefusedRowError("UnitPrice is out of range")
    pence = price.quantize(_PENNY)
    if pence != price:
        raise _RefusedRowError("UnitPrice is not in whole pence")
    return int(pence.scaleb(2))
