"""CSV (RFC 4180) as records that know the line they begin in, and survive a bad one."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from commerce.catalog.lines import LINE_MAX, Lines, is_utf8
from commerce.catalog.rows import RowError

RECORD_LINES_MAX: Final = 10_000
FIELD_MAX: Final = LINE_MAX


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of a record; or, where it can't be read, why."""

    line: int
    fields: list[str]
    error: str | None = None


def read_records(lines: Lines) -> Iterator[Record]:
    """The records of a file, blank lines left out.

    After a record that can't be read the next one is looked for in the line after its first: a
    quote that is never closed costs its own record only. Raises UnusableFileError.
    """
    while (first := lines.next()) is not None:
        if not first[1].strip():
            continue
        taken = [first]
        try:
            fields = _read_record(lines, taken)
        except RowError as error:
            lines.put_back(taken[1:])
            yield Record(first[0], [], str(error))
        else:
            yield Record(first[0], fields)


def _read_record(lines: Lines, taken: list[tuple[int, str]]) -> list[str]:
    """The record that begins in `taken`, to which the lines it goes on in are added."""

    def source() -> Iterator[str]:
        size = 0
        for at in range(RECORD_LINES_MAX):
            if at:
                line = lines.next()
                if line is None:
                    return
                taken.append(line)
            text = taken[-1][1]
            size += len(text)
            if size > FIELD_MAX or len(text) == LINE_MAX:
                raise RowError(f"more than {FIELD_MAX:,} characters, or a quote is not closed")
            if not is_utf8(text):
                raise RowError("not UTF-8; save the file as “CSV UTF-8”")
            yield text

    # The module's limit is one for the whole process, and lower than ours.
    csv.field_size_limit(FIELD_MAX)
    try:
        return next(csv.reader(source(), strict=True))
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise RowError("a quote is opened and not closed") from None
        raise RowError(f"not valid CSV: {error}") from None
    except StopIteration:
        raise RowError("a quote is opened and not closed") from None
