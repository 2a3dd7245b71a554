"""Logs: one line an event, as JSON or text, that can't hold what must not be logged.

What identifies a person or opens a door is kept out by construction, not by care:

- of our own loggers the message and the `extra=` fields are written, both scrubbed of
  addresses, tokens, URLs and query strings; a field whose name says that it is secret is not;
- of everybody else's loggers only the template of the message is written, not its arguments;
- of an exception its type and where it came from; its text only where that can't quote data.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the HTTP request being answered; empty outside of one."""

REDACTED: Final = "[redacted]"
TEXT_CHARS_MAX: Final = 2000
CAUSES_MAX: Final = 5
FRAMES_MAX: Final = 30

_OURS: Final = frozenset(
    {"server", "handlers", "realtime", "commerce", "events", "storage", "cartroom"}
)
_SECRET_NAMES: Final = frozenset(
    {
        "address", "authorization", "cookie", "email", "host", "ip", "key", "name", "password",
        "peer", "peername", "query", "remote", "secret", "token", "url",
    }
)  # fmt: skip
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# The text of these says what is wrong with the program, and quotes no values.
_TELLING: Final = frozenset(
    {AssertionError, AttributeError, ImportError, ModuleNotFoundError, NameError, RecursionError,
     RuntimeError, TypeError, UnboundLocalError, ZeroDivisionError}
)  # fmt: skip

_PATTERNS: Final = (
    (re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://\S+"), rf"\1://{REDACTED}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[\w-]+(?:\.[\w-]*)*"), REDACTED),
    (re.compile(r"\$2[abxy]\$\S+"), REDACTED),
    (re.compile(r"[^\s@\"'<>(),;]+@[^\s@\"'<>(),;]+"), REDACTED),
    (re.compile(r"\?\S+"), f"?{REDACTED}"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), REDACTED),
)
_MAYBE_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]{2,}")


def _redact_ipv6(match: re.Match[str]) -> str:
    """A time of day has two colons; an address more, or two side by side."""
    text = match.group()
    return REDACTED if "::" in text or text.count(":") >= 4 else text


def redact(text: str) -> str:
    """`text` without e-mail and IP addresses, tokens, hashes, URLs and query strings."""
    text = text[:TEXT_CHARS_MAX]
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _MAYBE_IPV6.sub(_redact_ipv6, text)


def describe_exception(error: BaseException) -> str:
    """Type, place and causes of an exception, as many lines; its text where that is safe."""
    parts: list[str] = []
    cause: BaseException | None = error
    for _ in range(CAUSES_MAX):
        if cause is None:
            break
        parts.append(_describe_one(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\ncaused by ".join(parts)


def _describe_one(error: BaseException) -> str:
    kind = type(error)
    ours = kind.__module__.partition(".")[0] in _OURS
    text = f": {redact(str(error))}" if ours or kind in _TELLING else ""
    if isinstance(error, OSError) and error.errno is not None:
        text = f": errno {error.errno}"
    if isinstance(error, BaseExceptionGroup):
        kinds = ", ".join(type(part).__qualname__ for part in error.exceptions[:CAUSES_MAX])
        text = f" of {len(error.exceptions)}: {kinds}"
    frames = traceback.format_tb(error.__traceback__, limit=-FRAMES_MAX)
    return f"{kind.__module__}.{kind.__qualname__}{text}\n{''.join(frames)}".rstrip()


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What is logged of a record, in order: time, level, logger, message, then its own fields."""
    ours = record.name.partition(".")[0] in _OURS
    # Others put values even into templates, asyncio the whole context below the first line.
    message = record.getMessage() if ours else str(record.msg).partition("\n")[0]
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields: dict[str, Any] = {
        "at": at.replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "message": redact(message),
    }
    if REQUEST_ID.get():
        fields["request"] = REQUEST_ID.get()
    if ours:
        extra = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        fields.update((name, _field(name, value)) for name, value in extra.items())
    if record.exc_info and record.exc_info[1] is not None:
        fields["error"] = describe_exception(record.exc_info[1])
    return fields


def _field(name: str, value: Any) -> Any:
    if name in _SECRET_NAMES:
        return REDACTED
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(fields_of(record))


class TextFormatter(logging.Formatter):
    """One line to read: time, level, logger, message, `name=value`…; an exception below it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = fields_of(record)
        error = fields.pop("error", None)
        head = [fields.pop(name) for name in ("at", "level", "logger", "message")]
        rest = [f"{name}={value}" for name, value in fields.items()]
        # A line break in a value must not look like a line of ours.
        line = " ".join((*head, *rest)).encode("unicode_escape").decode("ascii")
        return line if error is None else f"{line}\n{error}"


def configure_logs(level: str, style: str, stream: TextIO | None = None) -> None:
    """Send all logs of the process to `stream`, by default stderr, as `json` or `text`."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Below warnings the drivers tell commands with their contents, and where they connect to.
    for name in ("aiohttp", "asyncio", "motor", "pymongo", "redis", "aiokafka", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Our own line a request takes its place; this one has the address in it.
    logging.getLogger("aiohttp.access").disabled = True
