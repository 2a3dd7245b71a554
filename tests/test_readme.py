"""README says what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from server.cli import COMMANDS
from server.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def shown(default: Any) -> str:
    """A default as README writes it: nothing for none, seconds without a needless fraction."""
    if default is None or default in (frozenset(), ()):
        return ""
    if isinstance(default, bool) or (isinstance(default, float) and default.is_integer()):
        default = int(default)
    return f"`{default}`"


def test_the_configuration_tables_are_the_settings() -> None:
    written = re.findall(r"^\| `([A-Z_]+)` \| ?(.*?) ?\| (.+) \|$", README, re.MULTILINE)
    expected = [
        (item.metadata["variable"], shown(item.default), item.metadata["help"])
        for item in fields(Settings)
    ]
    assert sorted(written) == sorted(expected)


def test_every_command_is_named() -> None:
    assert set(re.findall(r"^\| `cartroom ([\w-]+)", README, re.MULTILINE)) == set(COMMANDS)


def test_links_lead_somewhere() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "protocol.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
