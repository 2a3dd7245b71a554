"""Bringing the search of an earlier version's catalog up to date, once."""

from __future__ import annotations

from typing import Final

from commerce.catalog import words
from commerce.catalog.documents import from_document
from commerce.catalog.search import listed
from storage.products import Products

BATCH: Final = 500

_DONE: Final = "!"
_SHELVES: Final = "categories and handles"


async def complete(products: Products) -> None:
    """Have all products be found by category and handle. It can be repeated, and broken off."""
    done = await products.terms.get([_DONE])
    if _SHELVES in done.get(_DONE, ()):
        return
    after = ""
    while places := await listed(products, BATCH, after):
        found = await products.find_by_ids([words.id_of_place(place) for place in places])
        documents = [from_document(document) for document in found.values()]
        await products.terms.add(words.shelf_terms(documents))
        after = places[-1]
    await products.terms.add({_DONE: [_SHELVES]})
