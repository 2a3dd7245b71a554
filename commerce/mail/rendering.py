"""What mails say: Jinja2 templates in a folder a language, a text and an HTML file a kind."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

FOLDER: Final = Path(__file__).parent / "templates"
LANGUAGE: Final = "en"
"""The language that has every template; it stands in for those that don't."""

NAME_CHARS_MAX: Final = 80
SUBJECT_CHARS_MAX: Final = 150

_CONTROLS: Final = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
_BIDIRECTIONAL: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_LINKABLE: Final = re.compile(r"(?<=[.:/@])(?=\S)")
_WORD_JOINER: Final = "\u2060"

_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    text: str
    html: str
    language: str


class Templates:
    """The templates of a folder, each compiled once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._languages = frozenset(path.name for path in folder.iterdir() if path.is_dir())
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=select_autoescape(("html",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters.update(said=said, duration=duration)

    def render(self, kind: str, locale: str | None, facts: Mapping[str, Any]) -> Rendered:
        """The mail of this kind in the language of `locale`, or else in English."""
        language = self._language(locale)
        text = self._find(language, f"{kind}.txt")
        html = self._find(language, f"{kind}.html")
        subject = "".join(text.blocks["subject"](text.new_context(dict(facts))))
        subject = _one_line(subject, SUBJECT_CHARS_MAX)
        return Rendered(
            subject,
            text.render(facts),
            html.render(facts, subject=subject, language=language),
            language,
        )

    def _language(self, locale: str | None) -> str:
        language = re.split("[-_]", (locale or LANGUAGE).lower())[0]
        return language if language in self._languages else LANGUAGE

    def _find(self, language: str, name: str) -> Template:
        return self._environment.select_template([f"{language}/{name}", f"{LANGUAGE}/{name}"])


def said(name: str) -> str:
    """What somebody has called something, fit for a line of text.

    One short line, which no mail program makes a link of: names are strangers' words, and a cart
    may be called like an address that leads elsewhere.
    """
    return _LINKABLE.sub(_WORD_JOINER, _one_line(name, NAME_CHARS_MAX))


def duration(seconds: int) -> str:
    """Seconds in words, in the largest unit that fits: "30 minutes"."""
    for size, unit in _UNITS:
        count = seconds // size
        if count:
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "a moment"


def _one_line(text: str, chars_max: int) -> str:
    """Without control characters and line breaks, and not longer than `chars_max`."""
    shown = "".join(
        " " if unicodedata.category(character) in _CONTROLS else character
        for character in text[: 4 * chars_max]
        if character not in _BIDIRECTIONAL
    )
    shown = " ".join(shown.split())
    return shown if len(shown) <= chars_max else shown[: chars_max - 1].rstrip() + "…"
