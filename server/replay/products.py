"""The products of a recording, as the catalog gets them."""

from __future__ import annotations

from collections import Counter, defaultdict

from commerce.catalog.product import Product
from server.replay.recording import Recording, Row
from server.replay.rules import CURRENCY


def products_of(recording: Recording) -> list[Product]:
    """One product a code that was sold, by code.

    Its name is the description met most often, or the code where there is none at all; its price
    the positive one met most often, or 0 where it was always given away. Stock isn't tracked.
    """
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for row in recording.sales:
        rows[row.code].append(row)
    return [_product(code, rows[code]) for code in sorted(rows)]


def _product(code: str, rows: list[Row]) -> Product:
    # Of several equally frequent ones a Counter gives the one that was met first.
    names = Counter(row.description for row in rows if row.description)
    prices = Counter(row.price for row in rows if row.price)
    name = names.most_common(1)[0][0] if names else code
    price = prices.most_common(1)[0][0] if prices else 0
    return Product(sku=code, name=name, price=price, currency=CURRENCY, available=None)
