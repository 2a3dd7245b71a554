"""The text of a piece of HTML, as descriptions in shop exports are."""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser
from typing import Final

_SILENT: Final = frozenset({"script", "style", "template", "iframe", "object", "noscript"})
_INLINE: Final = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i"}
    | {"ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup"}
    | {"time", "tt", "u", "var", "wbr"}
)

_CONTROLS: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")


def html_text(source: str) -> str:
    """The text without markup, scripts and styles; blocks and line breaks begin a new line."""
    if "<" not in source and "&" not in source:
        return _tidy_lines(source)
    # After the last `>` there is no markup. The parser would look for its end from every `<`.
    marked_up, end, plain = source.rpartition(">")
    parser = _TextParser()
    parser.feed(marked_up + end)
    parser.close()
    if not parser.silent:
        parser.pieces.append(unescape(plain))
    return _tidy_lines("".join(parser.pieces))


class _TextParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self.silent.append(tag)
        self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.silent and self.silent[-1] == tag:
            self.silent.pop()
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self.silent:
            # Line ends of the source are blanks; those of the text come from its blocks.
            self.pieces.append(data.replace("\n", " ").replace("\r", " "))

    def _break(self, tag: str) -> None:
        if tag not in _INLINE:
            self.pieces.append("\n")


def _tidy_lines(text: str) -> str:
    lines = (" ".join(line.translate(_CONTROLS).split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
