"""Money: integers in minor units, with the number of digits that ISO 4217 gives a currency."""

from __future__ import annotations

import re
from typing import Final

from iso4217 import Currency

# The dearest cart there can be, 1,000 lines of 100,000 pieces, still sums up within 64 bits.
AMOUNT_MAX: Final = 90_000_000_000

# ASCII digits only: `\d` would take those of every script.
_DECIMAL: Final = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,15}))?")

# Gold, testing codes and the like have no minor unit, so nothing can be priced in them.
_EXPONENTS: Final[dict[str, int]] = {
    currency.code: currency.exponent for currency in Currency if currency.exponent is not None
}


class MoneyError(ValueError):
    """An amount or a currency can't be used. The message says why, to the person who wrote it."""


def is_currency(code: str) -> bool:
    """True for the code of a currency that has a minor unit, in capitals: `EUR`."""
    return code in _EXPONENTS


def exponent(currency: str) -> int:
    """How many decimal digits the currency has: 2 for EUR, 0 for JPY. Raises MoneyError."""
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise MoneyError(
            f"{currency[:20]!r} is no currency of ISO 4217; write three capitals, like EUR"
        ) from None


def check_amount(amount: int) -> int:
    """`amount` itself if it can be a price. Raises MoneyError."""
    if not 0 <= amount <= AMOUNT_MAX:
        raise MoneyError(f"an amount is from 0 to {AMOUNT_MAX} minor units, not {amount}")
    return amount


def parse_amount(text: str, currency: str) -> int:
    """Minor units of a decimal number as text: `42.99` EUR is 4299.

    Exact, or refused: a sign, an exponent, a comma, and more digits than the currency has raise
    MoneyError, as does an unknown currency.
    """
    digits = exponent(currency)
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise MoneyError(f"{text[:40]!r} is no amount; write it like {_example(digits)}")
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > digits:
        raise MoneyError(f"{text!r} has more than the {digits} decimal digits of {currency}")
    return check_amount(int(whole + fraction.ljust(digits, "0")))


def format_amount(amount: int, currency: str) -> str:
    """The decimal number with all digits of the currency: 4299 EUR is `42.99`.

    Raises MoneyError for an unknown currency. Amounts below zero, as differences are, are fine.
    """
    digits = exponent(currency)
    sign, figures = "-" if amount < 0 else "", str(abs(amount))
    if digits == 0:
        return sign + figures
    figures = figures.rjust(digits + 1, "0")
    return f"{sign}{figures[:-digits]}.{figures[-digits:]}"


def _example(digits: int) -> str:
    return "42." + "99999"[:digits] if digits else "42"
