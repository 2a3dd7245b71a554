"""Which passwords nobody may choose: those that guessing begins with."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from commerce.accounts.errors import WeakPasswordError

SERVICE: Final = "cartroom"


def check_choice(
    password: str, email: str | None, name: str | None, *, field: str = "password"
) -> None:
    """Raise WeakPasswordError for a password that is common, or says whose it is.

    `field` is what the password was sent as.
    """
    word = _fold(password)
    if word in _common():
        raise WeakPasswordError(
            field, "Many people use this password, so it is guessed first. Choose another one."
        )
    if word in _own(email, name):
        raise WeakPasswordError(
            field,
            "This is your address or name, or ours, so it is guessed first. Choose another one.",
        )


@cache
def _common() -> frozenset[str]:
    """Passwords of many people: the 30,000 most frequent of those that zxcvbn has counted."""
    return frozenset(_fold(one) for one in FREQUENCY_LISTS["passwords"])


def _own(email: str | None, name: str | None) -> frozenset[str]:
    local, _, domain = (email or "").partition("@")
    own = (email or "", local, domain, name or "", SERVICE)
    return frozenset(_fold(one) for one in own) | {"".join(_fold(one).split()) for one in own}


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
