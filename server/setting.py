"""What a setting is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any


def setting(
    variable: str,
    parse: Callable[[str], Any],
    default: Any,
    expected: str,
    help: str,  # noqa: A002
) -> Any:
    """A field of `Settings`: its variable, how it is read, and what is said of it."""
    return field(
        default=default,
        metadata={"variable": variable, "parse": parse, "expected": expected, "help": help},
    )
