"""Content codings: which of ours somebody takes (RFC 9110, 12.5.3), and how they are made."""

from __future__ import annotations

import gzip
import re
from typing import Final

import brotli

IDENTITY: Final = "identity"
CODINGS: Final = ("br", "gzip", IDENTITY)
"""Ours, smallest first."""

# Brotli's best takes seconds for a megabyte, for a tenth less than its second best.
SLOW_BYTES: Final = 256 * 1024

# A coding that isn't named is taken only uncompressed, and after all that are.
_UNNAMED: Final = 0.0001
_WEIGHT: Final = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)


def acceptable(header: str | None) -> list[str]:
    """Those of `CODINGS` that the value of an `Accept-Encoding` allows, best first.

    Without a header only the uncompressed is: whoever asks so is most likely no browser.
    """
    weights = _weights(header or "")
    rest = weights.get("*")
    found = {}
    for coding in CODINGS:
        default = (_UNNAMED if coding == IDENTITY else 0.0) if rest is None else rest
        found[coding] = weights.get(coding, default)
    # The sort is stable: of equal weight the smaller is the better.
    return sorted((one for one in CODINGS if found[one] > 0), key=lambda one: -found[one])


def _weights(header: str) -> dict[str, float]:
    weights = {}
    for part in header.lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                value = value.strip()
                # What can't be read is no wish for it.
                weight = float(value) if _WEIGHT.fullmatch(value) else 0.0
        if coding:
            weights[coding] = weight
    return weights


def encode(content: bytes, coding: str) -> bytes:
    """The content in one of the codings, as small as it gets in reasonable time."""
    if coding == "br":
        packed: bytes = brotli.compress(content, quality=11 if len(content) < SLOW_BYTES else 9)
        return packed
    if coding == "gzip":
        # The same bytes from every instance: no time of making.
        return gzip.compress(content, 9, mtime=0)
    return content
