"""A file as numbered lines: gzip or plain, UTF-8, every line bounded."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Final

from commerce.catalog.rows import UnusableFileError

LINE_MAX: Final = 1_048_576

_GZIP: Final = b"\x1f\x8b"
_OTHER_ENCODINGS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00")
_BOM: Final = "\ufeff"


class Lines:
    """The lines of a file, numbered from 1, each with its end; some can be put back.

    Bytes that are no UTF-8 come as lone surrogates, for the row to be refused by its line. A line
    of more than 1 MiB comes cut, without an end. Raises UnusableFileError, also in the middle.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self._raw = file
        with _readable():
            start = file.peek(4)
            source: io.BufferedReader | gzip.GzipFile = file
            if start.startswith(_GZIP):
                source = gzip.GzipFile(fileobj=file, mode="rb")
                start = source.peek(4)
        if not start:
            raise UnusableFileError("the file is empty")
        if start.startswith(_OTHER_ENCODINGS):
            raise UnusableFileError("the file is not UTF-8 text; save it as UTF-8")
        self._text = io.TextIOWrapper(source, "utf-8", errors="surrogateescape", newline="")
        self._returned: list[tuple[int, str]] = []
        self._number = 0

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while (line := self.next()) is not None:
            yield line

    def next(self) -> tuple[int, str] | None:
        """The next line and its number, None at the end."""
        if self._returned:
            return self._returned.pop()
        with _readable():
            line = self._text.readline(LINE_MAX)
            if len(line) == LINE_MAX:
                self._skip_rest(line)
        if not line:
            return None
        self._number += 1
        return self._number, line.removeprefix(_BOM) if self._number == 1 else line

    def put_back(self, lines: list[tuple[int, str]]) -> None:
        """These lines come again, in their order."""
        self._returned.extend(reversed(lines))

    def close(self) -> None:
        self._text.close()
        self._raw.close()

    def position(self) -> int:
        """How many bytes of the file, as it is on the disk, have been read."""
        return self._raw.tell()

    def _skip_rest(self, line: str) -> None:
        while line and not line.endswith(("\n", "\r")):
            line = self._text.readline(LINE_MAX)


def is_utf8(line: str) -> bool:
    """False if the line had bytes that are no UTF-8."""
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UnusableFileError("the gzip file is damaged or ends too early") from None
    except OSError as error:
        raise UnusableFileError(f"the file can't be read: {error.strerror}") from None
