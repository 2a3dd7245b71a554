"""Putting products into the store, in batches, so that repeating it changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from commerce.catalog import words
from commerce.catalog.documents import to_document
from commerce.catalog.product import Product
from storage.products import Products

# Large, since every batch touches the sets of its words once.
BATCH_MAX: Final = 4_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many products were new, differed from what was stored, and were stored so already."""

    inserted: int = 0
    changed: int = 0
    unchanged: int = 0

    @property
    def imported(self) -> int:
        return self.inserted + self.changed + self.unchanged


async def import_products(
    products: Products,
    records: Iterable[Product],
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Make the catalog hold these products as given; of a sku given twice, the last one counts.

    `records` is read as it goes, 4,000 at a time; `progress` is told how many each time. What the
    driver raises passes through: call it again then, nothing is done twice.
    """
    report = ImportReport()
    for batch in _batches(records):
        # Words first: a product in the store without its words would not be seen as unfinished.
        left_out = await products.terms.add(words.terms(batch))
        if left_out:
            _log.warning("search terms are full", extra={"left_out": left_out})
        result = await products.upsert([to_document(product) for product in batch])
        report = ImportReport(
            report.inserted + result.inserted,
            report.changed + result.changed,
            report.unchanged + result.unchanged,
        )
        if progress is not None:
            progress(len(batch))
    return report


def _batches(records: Iterable[Product]) -> Iterator[list[Product]]:
    remaining = iter(records)
    while batch := list(islice(remaining, BATCH_MAX)):
        yield batch
