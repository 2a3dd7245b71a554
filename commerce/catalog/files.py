"""A file of products, whatever its format: its rows, one product a sku."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from commerce.catalog.jsonl import read_jsonl
from commerce.catalog.lines import Lines
from commerce.catalog.rows import Accepted, Refused, Row, UnusableFileError
from commerce.catalog.shopify import read_shopify

BLANK_LINES_MAX: Final = 1_000


class CurrencyNeededError(UnusableFileError):
    """A Shopify file names no currency, and none was given."""


def read_products(lines: Lines, currency: str | None, stock: int | None = None) -> Iterator[Row]:
    """The rows of the file: JSON Lines if it begins with `{`, else Shopify's CSV.

    Of a sku that comes twice the first one is accepted. Raises UnusableFileError, also in the
    middle.
    """
    if _is_json(lines):
        rows = read_jsonl(lines, stock)
    elif currency is not None:
        rows = read_shopify(lines, currency, stock)
    else:
        raise CurrencyNeededError(
            "Shopify's files name no currency; say which one the prices are in: --currency EUR"
        )
    line_by_sku: dict[str, int] = {}
    for row in rows:
        if not isinstance(row, Accepted):
            yield row
            continue
        sku = row.product.sku
        if sku in line_by_sku:
            yield Refused(row.line, f"sku {sku!r} is that of line {line_by_sku[sku]}, too")
        else:
            line_by_sku[sku] = row.line
            yield row


def _is_json(lines: Lines) -> bool:
    """True if the first line that isn't blank begins as a JSON object does."""
    for _ in range(BLANK_LINES_MAX):
        line = lines.next()
        if line is None:
            break
        if line[1].strip():
            lines.put_back([line])
            return line[1].lstrip().startswith("{")
    raise UnusableFileError("the file holds nothing but blank lines")
