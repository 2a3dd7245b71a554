"""Which categories there are, and how many products are in each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from commerce.catalog import words
from storage.products import Products

CATEGORIES_MAX: Final = 200
# Of so many, in order of name, products are counted; a shop with more has no use for a list.
CATEGORIES_COUNTED_MAX: Final = 2_000
SETS_PER_READ: Final = 20
# Of so many products that were in one category and are in another now, it is looked up which.
MOVED_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Category:
    """`count` tells its products, each variant counted; those that lost it for none, too."""

    name: str
    count: int


async def counted(products: Products) -> list[Category]:
    """The categories with products in them, in order of name; those with the most if many."""
    entries = (await products.terms.get([words.ALL_CATEGORIES])).get(words.ALL_CATEGORIES, [])
    names = sorted(entries, key=lambda name: (words.fold(name), name))[:CATEGORIES_COUNTED_MAX]
    members: dict[str, set[str]] = {}
    # A few at a time: between them others get their turn.
    for start in range(0, len(names), SETS_PER_READ):
        part = names[start : start + SETS_PER_READ]
        sets = await products.terms.get([words.category_term(name) for name in part])
        for name in part:
            places = sets.get(words.category_term(name), ())
            members[name] = {words.id_of_place(place) for place in places}
    await _leave_where_they_are(products, members)
    most = Counter({name: len(ids) for name, ids in members.items() if ids})
    shown = {name for name, _ in most.most_common(CATEGORIES_MAX)}
    return [Category(name, most[name]) for name in names if name in shown]


async def _leave_where_they_are(products: Products, members: dict[str, set[str]]) -> None:
    """Take products out of the categories that they were in before: sets only grow."""
    often = Counter(identity for ids in members.values() for identity in ids)
    moved = set([identity for identity, count in often.items() if count > 1][:MOVED_MAX])
    found = await products.find_by_ids(list(moved))
    for name, ids in members.items():
        for identity in ids & moved:
            document = found.get(identity)
            if document is None or document["category"] != name:
                ids.discard(identity)
