"""Money: exact, or refused."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.money import (
    AMOUNT_MAX,
    MoneyError,
    check_amount,
    exponent,
    format_amount,
    is_currency,
    parse_amount,
)
from realtime.limits import DEFAULT_LIMITS

CURRENCIES = ("EUR", "USD", "GBP", "JPY", "KRW", "KWD", "TND", "CLF")
currencies = st.sampled_from(CURRENCIES)
amounts = st.integers(0, AMOUNT_MAX)


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("42.99", "EUR", 4299),
        ("42.9", "EUR", 4290),
        ("42", "EUR", 4200),
        ("0.07", "USD", 7),
        ("0", "USD", 0),
        ("007.50", "USD", 750),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
        ("0.29", "EUR", 29),  # 0.29 * 100 is 28.999999999999996
    ],
)
def test_text_becomes_minor_units(text: str, currency: str, amount: int) -> None:
    assert parse_amount(text, currency) == amount


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-1", "+1", "1,50", "1.", ".5", "1e3", "NaN", "inf", "0x10", "1_000", "1 000"),
        *("€5", "1.999", "1.990", "٣", "５", "1.5.0", " 1", "1\n", "9" * 16, "900000000.01"),
        "1" * 100_000,
    ],
)
def test_what_is_no_amount_of_euros_is_refused(text: str) -> None:
    with pytest.raises(MoneyError):
        parse_amount(text, "EUR")


def test_a_currency_without_minor_digits_takes_none() -> None:
    with pytest.raises(MoneyError, match="more than the 0 decimal digits of JPY"):
        parse_amount("500.0", "JPY")


@pytest.mark.parametrize("code", ["", "eur", "EURO", "XXX", "XAU", "€", "E" * 10_000, "EUR "])
def test_what_is_no_currency_is_refused(code: str) -> None:
    assert not is_currency(code)
    with pytest.raises(MoneyError, match="no currency of ISO 4217"):
        exponent(code)
    with pytest.raises(MoneyError):
        parse_amount("1", code)
    with pytest.raises(MoneyError):
        format_amount(1, code)


@given(amounts, currencies)
def test_what_is_formatted_parses_to_the_same(amount: int, currency: str) -> None:
    assert parse_amount(format_amount(amount, currency), currency) == amount


@given(amounts, currencies)
def test_the_text_is_the_decimal_number(amount: int, currency: str) -> None:
    text = format_amount(amount, currency)
    assert Decimal(text) == Decimal(amount).scaleb(-exponent(currency))
    assert format_amount(-amount, currency) == (f"-{text}" if amount else text)


@given(st.decimals(min_value=0, max_value=900_000_000, allow_nan=False), currencies)
def test_a_decimal_number_is_taken_exactly_or_not_at_all(value: Decimal, currency: str) -> None:
    text = f"{value:f}"
    try:
        amount = parse_amount(text, currency)
    except MoneyError:
        assert len(text.partition(".")[2]) > exponent(currency) or value * 1000 > AMOUNT_MAX
    else:
        assert Decimal(amount) == value.scaleb(exponent(currency))


@given(st.text())
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    with contextlib.suppress(MoneyError):
        assert 0 <= parse_amount(text, "EUR") <= AMOUNT_MAX


def test_the_dearest_cart_fits_64_bits() -> None:
    assert AMOUNT_MAX * DEFAULT_LIMITS.lines * DEFAULT_LIMITS.pieces < 2**63
    assert check_amount(AMOUNT_MAX) == AMOUNT_MAX
    for amount in (-1, AMOUNT_MAX + 1):
        with pytest.raises(MoneyError):
            check_amount(amount)
