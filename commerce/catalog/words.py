"""The words of products and queries, and the terms under which a product is found.

Pure. A term is the `_id` of a set in `storage.search_terms`; the kinds differ in the first sign:

    =shirt   places of the products with this very word
    ^sh ^shi places of the products with a word of this beginning
    ~shi     words with this beginning: with four letters typed, they lead to sets of `=`
    *        beginnings of all names; `#red` places of the products whose name begins so
    +        all categories; `@Kitchen` places of the products in that one
    /mug     places of the products with this handle: the variants of one product

A place is `<folded name>\\x1f<24 hex of the product's id>`: it sorts as the answer is sorted.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from typing import Final

from commerce.catalog.product import Product
from storage.ids import product_id

WORD_MAX: Final = 32
WORDS_PER_PRODUCT_MAX: Final = 100
PREFIX_MIN: Final = 2
PREFIX_MAX: Final = 3
PLACE_NAME_MAX: Final = 40
BUCKET_LETTERS: Final = 3

ALL_BUCKETS: Final = "*"
ALL_CATEGORIES: Final = "+"
SEPARATOR: Final = "\x1f"

_WORD: Final = re.compile(r"[^\W_]+")
_APOSTROPHES: Final = str.maketrans("", "", "'’ʼ`")
_ID_PREFIX: Final = "prd_"


def fold(text: str) -> str:
    """`text` without case, accents and ways of composition: `Crème BRÛLÉE` is `creme brulee`."""
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    # Folding may bring accents back in (a dotted İ), and both are needed to be stable.
    return unicodedata.normalize("NFKD", bare.casefold())


def words(text: str) -> list[str]:
    """The words of a text in order, folded and each cut to 32 letters; `men's` is `mens`."""
    return [word[:WORD_MAX] for word in _WORD.findall(fold(text).translate(_APOSTROPHES))]


def product_words(product: Product) -> frozenset[str]:
    """The words by which a product is found, at most 100 of them."""
    texts = (
        product.name,
        product.sku,
        product.title,
        product.category,
        product.vendor,
        *product.options.values(),
        *product.tags,
    )
    found = dict.fromkeys(word for text in texts for word in words(text))
    return frozenset(list(found)[:WORDS_PER_PRODUCT_MAX])


def place(product: Product) -> str:
    """Where the product stands in every answer: by name, products of one name by id."""
    name = " ".join(words(product.name)) or "".join(fold(product.name).split())
    # Nothing in a name may sort before the separator: buckets are then in the order of places.
    name = "".join(sign for sign in name if sign > SEPARATOR)[:PLACE_NAME_MAX]
    return f"{name}{SEPARATOR}{product_id(product.sku).removeprefix(_ID_PREFIX)}"


def id_of_place(place: str) -> str:
    """The product's id."""
    return _ID_PREFIX + place.rpartition(SEPARATOR)[2]


def bucket_of_place(place: str) -> str:
    """The beginning of the name under which the list of all products keeps this place."""
    return place.rpartition(SEPARATOR)[0][:BUCKET_LETTERS]


def terms(products: list[Product]) -> dict[str, set[str]]:
    """What has to be in which set for these products to be found."""
    entries: defaultdict[str, set[str]] = defaultdict(set)
    for product in products:
        where = place(product)
        bucket = bucket_of_place(where)
        entries[ALL_BUCKETS].add(bucket)
        entries[bucket_term(bucket)].add(where)
        for word in product_words(product):
            entries[word_term(word)].add(where)
            for length in range(PREFIX_MIN, min(PREFIX_MAX, len(word)) + 1):
                entries[prefix_term(word[:length])].add(where)
            if len(word) > PREFIX_MAX:
                entries[vocabulary_term(word)].add(word)
    return {**entries, **shelf_terms(products)}


def shelf_terms(products: list[Product]) -> dict[str, set[str]]:
    """The part of `terms` by which categories and variants are found."""
    entries: defaultdict[str, set[str]] = defaultdict(set)
    for product in products:
        where = place(product)
        if product.category:
            entries[ALL_CATEGORIES].add(product.category)
            entries[category_term(product.category)].add(where)
        if product.handle:
            entries[handle_term(product.handle)].add(where)
    return dict(entries)


def word_term(word: str) -> str:
    return f"={word}"


def prefix_term(prefix: str) -> str:
    return f"^{prefix}"


def vocabulary_term(word: str) -> str:
    return f"~{word[:PREFIX_MAX]}"


def bucket_term(bucket: str) -> str:
    return f"#{bucket}"


def category_term(category: str) -> str:
    return f"@{category}"


def handle_term(handle: str) -> str:
    return f"/{handle}"


def matches(product: Product, query: list[str]) -> bool:
    """True if the product has every word of the query, the last one at least as a beginning."""
    have = product_words(product)
    *whole, last = query
    if not have.issuperset(whole):
        return False
    if len(last) < PREFIX_MIN:
        return last in have
    return any(word.startswith(last) for word in have)
