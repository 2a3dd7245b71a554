"""Reading `protocol.md`: its sections, tables and examples; and the types of messages in words."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

PROTOCOL = Path(__file__).parents[1] / "protocol.md"

# Patterns in words, by what tells them apart.
PATTERNS = {
    r"\S": "with a visible character",
    r"[A-Z]{3}": "three capital letters (ISO 4217)",
    "{12}:": "`<UUID>:<n>`, 0 < n < 2^53",
    "{12}": "UUID",
}


@dataclass
class Section:
    """A heading with what stands under it, down to the next heading of any level."""

    title: str
    level: int
    text: str = ""
    parents: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The title without its code marks."""
        return self.title.strip("`")

    def table(self, first: str = "") -> list[dict[str, str]]:
        """The rows, by column, of the first table, or of the one whose first column is so named."""
        for block in re.findall(r"(?:^\|.*\n)+", self.text, re.MULTILINE):
            header, _, *rows = [_cells(line) for line in block.splitlines()]
            if first in ("", header[0]):
                return [dict(zip(header, row, strict=True)) for row in rows]
        return []

    def examples(self) -> list[Any]:
        """What the JSON blocks hold, in order; a block may hold several values."""
        blocks = re.findall(r"```json\n(.*?)```", self.text, re.DOTALL)
        return [value for block in blocks for value in parse_all(block)]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def parse_all(text: str) -> list[Any]:
    """The JSON values that follow each other in `text`."""
    decoder, values, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        value, at = decoder.raw_decode(
            text, len(text[:at]) + len(text[at:]) - len(text[at:].lstrip())
        )
        values.append(value)
    return values


def sections(path: Path = PROTOCOL) -> list[Section]:
    found: list[Section] = []
    parents: list[str] = []
    fenced = False
    for line in path.read_text().splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else re.match(r"(#+) (.+)", line)
        if heading:
            level = len(heading[1])
            parents = [*parents[: level - 1], heading[2]]
            found.append(Section(heading[2], level, parents=parents[:-1]))
        elif found:
            found[-1].text += line + "\n"
    return found


def under(parent: str) -> dict[str, Section]:
    """The sections right under the section of that title, by name."""
    return {one.name: one for one in sections() if one.parents and one.parents[-1] == parent}


def section(title: str) -> Section:
    (found,) = (one for one in sections() if one.title == title)
    return found


def plain(cell: str) -> str:
    return cell.strip("`")


def fields_of(struct: type[msgspec.Struct]) -> list[tuple[str, str, str]]:
    """(name, type in words, default) of each field of a message but `id`."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return [
        (one.encode_name, words(one.type), _default(one))
        for one in info.fields
        if one.encode_name != "id"
    ]


def _default(one: inspect.Field) -> str:
    if one.required:
        return "required"
    return "–" if one.default is None else f"`{json.dumps(one.default)}`"


def words(kind: inspect.Type) -> str:
    """A type with its bounds, as the document puts it."""
    match kind:
        case inspect.UnionType():
            types = [words(one) for one in kind.types if not isinstance(one, inspect.NoneType)]
            return " or ".join(dict.fromkeys(types))
        case inspect.StrType():
            return _text(kind)
        case inspect.IntType():
            return f"integer, {_bound(kind.ge)} to {_bound(kind.le)}"
        case inspect.LiteralType():
            return " or ".join(f'`"{value}"`' for value in kind.values)
        case inspect.BoolType():
            return "boolean"
        case inspect.FloatType():
            return "number"
        case inspect.StructType() if kind.tag_field == "kind":
            return "op"
        case inspect.StructType():
            return "object"
        case inspect.VarTupleType():
            return f"list, {kind.min_length or 0} or more"
        case inspect.DictType():
            return "object"
    raise AssertionError(kind)


def _text(kind: inspect.StrType) -> str:
    for mark, meaning in PATTERNS.items():
        if kind.pattern is not None and mark in kind.pattern:
            if kind.max_length is None:
                return meaning
            return f"string {meaning}, up to {kind.max_length} characters"
    low = f"{kind.min_length} to " if kind.min_length else "up to "
    return f"string, {low}{kind.max_length} characters"


def _bound(value: int | None) -> str:
    assert value is not None
    if value == 2**53 - 1:
        return "2^53 - 1"
    return f"{value:,}"


def same_shape(told: Any, real: Any, at: str = "") -> list[str]:
    """Where a real message differs from the document's example: in keys or types, not values."""
    if isinstance(told, dict) and isinstance(real, dict):
        wrong = [f"{at}: only one has {key}" for key in told.keys() ^ real.keys()]
        common = told.keys() & real.keys()
        return wrong + [
            place for key in common for place in same_shape(told[key], real[key], f"{at}.{key}")
        ]
    if isinstance(told, list) and isinstance(real, list):
        if len(told) != len(real):
            return [f"{at}: {len(told)} in the document, {len(real)} in truth"]
        pairs = enumerate(zip(told, real, strict=True))
        return [place for index, pair in pairs for place in same_shape(*pair, f"{at}[{index}]")]
    numbers = (int, float)
    if isinstance(told, numbers) and isinstance(real, numbers):
        return []
    return (
        [] if type(told) is type(real) else [f"{at}: {told!r} in the document, {real!r} in truth"]
    )
