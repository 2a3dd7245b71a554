"""Search: which products a query means, a page at a time, by look-ups of `_id` alone."""

from __future__ import annotations

import base64
import binascii
import heapq
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Final

from commerce.catalog import words
from commerce.catalog.documents import from_document
from commerce.catalog.product import Product
from storage.products import Products

QUERY_LENGTH_MAX: Final = 200
PAGE_MAX: Final = 100
CURSOR_LENGTH_MAX: Final = 600
# More words than this begin with four typed letters in vast catalogs only: the shortest count.
EXPANSIONS_MAX: Final = 256
# After so many rounds of places that lead nowhere any more, a page is given short, with a cursor.
ROUNDS_MAX: Final = 8

_CURSOR_VERSION: Final = "1"
_PLACE: Final = re.compile(
    rf".{{0,{words.PLACE_NAME_MAX}}}{words.SEPARATOR}[0-9a-f]{{24}}", re.DOTALL
)


class InvalidSearchError(ValueError):
    """The query, the limit or the cursor can't be used. The message says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """Products in order, and where to go on; None at the end.

    Fewer products than asked for, also none, do not mean that it is the end.
    """

    items: list[Product]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Query:
    """What a product must have: all the words; the category and the handle, where one is asked."""

    words: list[str]
    category: str | None
    handle: str | None

    def matches(self, product: Product) -> bool:
        return (
            self.category in (None, product.category)
            and self.handle in (None, product.handle)
            and (not self.words or words.matches(product, self.words))
        )


async def search(
    products: Products,
    q: str,
    limit: int,
    cursor: str | None,
    *,
    category: str | None = None,
    handle: str | None = None,
) -> Page:
    """The next `limit` products with every word of `q`; its last word may be unfinished.

    A `q` of only blanks means all products; `category` and `handle` keep those that have just
    these. In order of name. A product renamed while somebody turns pages may be missed or come
    twice; others don't. Raises InvalidSearchError.
    """
    if not 1 <= limit <= PAGE_MAX:
        raise InvalidSearchError(f"limit is a number from 1 to {PAGE_MAX}")
    if len(q) > QUERY_LENGTH_MAX:
        raise InvalidSearchError(f"q has at most {QUERY_LENGTH_MAX} characters")
    after = "" if cursor is None else _decode_cursor(cursor)
    query = _Query(words.words(q), category, handle)
    if q.strip() and not query.words:
        return Page([], None)
    places = await _matching(products, query)
    return await _collect(products, query, places, limit, after)


async def _collect(
    products: Products, query: _Query, places: set[str] | None, limit: int, after: str
) -> Page:
    items: list[Product] = []
    for _ in range(ROUNDS_MAX):
        # One more than wanted tells whether there is a next page.
        wanted = limit + 1 - len(items)
        if places is None:
            batch = await listed(products, wanted, after)
        else:
            batch = heapq.nsmallest(wanted, (each for each in places if each > after))
        found = await products.find_by_ids([words.id_of_place(each) for each in batch])
        for each in batch:
            document = found.get(words.id_of_place(each))
            product = None if document is None else from_document(document)
            # Sets only grow: a place may be one of long ago, or of an import that didn't finish.
            if product is None or words.place(product) != each:
                continue
            if query.matches(product):
                items.append(product)
        if len(items) > limit:
            return Page(items[:limit], _encode_cursor(words.place(items[limit - 1])))
        if len(batch) < wanted:
            return Page(items, None)
        after = batch[-1]
    return Page(items, _encode_cursor(after))


async def _matching(products: Products, query: _Query) -> set[str] | None:
    """Places of the products that the query means, as the sets know it; None for all there are."""
    alternatives = [[words.word_term(word)] for word in query.words[:-1]]
    if query.words:
        alternatives.append(await _terms_of_unfinished(products, query.words[-1]))
    if query.category is not None:
        alternatives.append([words.category_term(query.category)])
    if query.handle is not None:
        alternatives.append([words.handle_term(query.handle)])
    if not alternatives:
        return None
    sets = await products.terms.get({term for terms in alternatives for term in terms})
    found = [set().union(*(sets.get(term, ()) for term in terms)) for terms in alternatives]
    return set.intersection(*found)


async def _terms_of_unfinished(products: Products, word: str) -> list[str]:
    """The terms whose sets together are the products with a word that begins so."""
    if len(word) < words.PREFIX_MIN:
        return [words.word_term(word)]
    if len(word) <= words.PREFIX_MAX:
        return [words.prefix_term(word)]
    term = words.vocabulary_term(word)
    vocabulary = (await products.terms.get([term])).get(term, [])
    begun = [each for each in vocabulary if each.startswith(word)]
    shortest = heapq.nsmallest(EXPANSIONS_MAX, begun, key=lambda each: (len(each), each))
    # The word itself in any case: the vocabulary may have been full when it came.
    return [words.word_term(each) for each in {word, *shortest}]


async def listed(products: Products, wanted: int, after: str) -> list[str]:
    """The next places of all products, at least `wanted` of them unless there are no more."""
    known = (await products.terms.get([words.ALL_BUCKETS])).get(words.ALL_BUCKETS, [])
    buckets = sorted(known)
    start = bisect_left(buckets, words.bucket_of_place(after)) if after else 0
    places: list[str] = []
    while start < len(buckets) and len(places) < wanted:
        # A bucket holds one place at least, so that one query does, but for the first bucket.
        part = buckets[start : start + wanted + 1]
        start += len(part)
        sets = await products.terms.get([words.bucket_term(bucket) for bucket in part])
        ordered = sorted(place for entries in sets.values() for place in entries)
        places += ordered[bisect_right(ordered, after) :]
    return places[:wanted]


def _encode_cursor(place: str) -> str:
    return base64.urlsafe_b64encode(f"{_CURSOR_VERSION}{place}".encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> str:
    try:
        if len(cursor) > CURSOR_LENGTH_MAX:
            raise ValueError
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        version, place = text[:1], text[1:]
        if version != _CURSOR_VERSION or not _PLACE.fullmatch(place):
            raise ValueError
    except (ValueError, binascii.Error):
        raise InvalidSearchError(
            "This cursor was not made here; leave it out to start at the first page"
        ) from None
    return place
