"""How much a randomised or repeated test does: enough in a hurry, or all that its issue asks.

`CARTROOM_TEST_TIER` says which: `quick` (the default, what README's command runs), `ci` (what
`.ci/run` sets) or `long` (on demand, hours if need be; dated results stand in `docs/`).
"""

from __future__ import annotations

import os
from typing import Final, TypeVar

STORE_IS_NAMED: Final = bool(os.environ.get("CARTROOM_TEST_MONGODB_URL"))
"""The store isn't an nx-27017 of the tests' own; of others, FerretDB is slow."""

T = TypeVar("T")

TIERS: Final = ("quick", "ci", "long")


def tier() -> str:
    """The tier of this run. Raises ValueError for one that doesn't exist."""
    name = os.environ.get("CARTROOM_TEST_TIER", TIERS[0])
    if name not in TIERS:
        raise ValueError(f"CARTROOM_TEST_TIER is {name!r}; use one of {', '.join(TIERS)}")
    return name


def by_tier(*, quick: T, ci: T, long: T) -> T:
    """The value for this run's tier."""
    return {"quick": quick, "ci": ci, "long": long}[tier()]


def by_store(*, own: T, named: T) -> T:
    """The value for the store that the tests run on: their own, or one that may be slow."""
    return named if STORE_IS_NAMED else own
