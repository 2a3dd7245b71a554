"""Products as JSON Lines: a line is a product as REST shows it. `docs/import.md` has an example."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from commerce.catalog.lines import LINE_MAX, Lines, is_utf8
from commerce.catalog.product import Product
from commerce.catalog.rows import Accepted, Refused, Row, RowError, check_product
from commerce.money import MoneyError


class Money(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`amount` in minor units of `currency`."""

    amount: int
    currency: str


class Line(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One product. Without `available`, or with null, its stock isn't tracked."""

    sku: str
    name: str
    price: Money
    available: int | None = None
    compare_at_price: Money | None = None
    handle: str = ""
    title: str = ""
    description: str = ""
    vendor: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    options: dict[str, str] = {}
    images: tuple[str, ...] = ()


_DECODER = msgspec.json.Decoder(Line)


def read_jsonl(lines: Lines, stock: int | None = None) -> Iterator[Row]:
    """The products of a JSON Lines file; `stock` in place of every `available`."""
    for number, text in lines:
        if not text.strip():
            continue
        try:
            yield Accepted(number, parse_line(text, stock))
        except (RowError, MoneyError) as error:
            yield Refused(number, str(error))


def parse_line(text: str, stock: int | None = None) -> Product:
    """The product of one line. Raises RowError, or MoneyError for its price."""
    if len(text) == LINE_MAX:
        raise RowError(f"the line has more than {LINE_MAX:,} characters")
    if not is_utf8(text):
        raise RowError("not UTF-8")
    try:
        line = _DECODER.decode(text)
    except msgspec.DecodeError as error:
        raise RowError(str(error)) from None
    except RecursionError:
        raise RowError("nested too deeply") from None
    compare_at = line.compare_at_price
    if compare_at is not None and compare_at.currency != line.price.currency:
        raise RowError("compare_at_price is in another currency than price")
    values = {name: getattr(line, name) for name in Line.__struct_fields__}
    values["price"], values["currency"] = line.price.amount, line.price.currency
    values["compare_at_price"] = None if compare_at is None else compare_at.amount
    if stock is not None:
        values["available"] = stock
    return check_product(Product(**values))
