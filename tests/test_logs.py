"""What may be in a log line, and what can't be."""

from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import DuplicateKeyError

from realtime.errors import CartroomError
from server.logs import JsonFormatter, TextFormatter, configure_logs, redact

SECRETS = [
    "ada@shop.example",
    "ada+carts@bücher.example",
    "192.0.2.17",
    "192.0.2.17:52311",
    "2001:db8::8a2e:370:7334",
    "2001:db8:1:2:3:4:5:6:52311",
    "::ffff:192.0.2.17",
    "fe80::1",
    "2001:db8:1:2:3:4:5:6",
    "[2001:db8:1:2:3:4:5:6]:52311",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl",
    "mongodb://user:hunter22@db.shop.example:27017/cartroom",
    "redis://:hunter22@10.0.0.1:6379/0",
    "$2b$12$KIXQhA3vq7GdJmC0r3lq9uO0ZC6cS8m0Qp3dQ2o1h2o4j5k6l7m8n",
]


@pytest.fixture(autouse=True)
def untouched():
    """Give the process its logging back."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    levels = {
        n: each.level for n, each in root.manager.loggerDict.items() if hasattr(each, "level")
    }
    yield
    root.handlers[:], root.level = before[0], before[1]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger("aiohttp.access").disabled = False


@pytest.fixture(params=["json", "text"])
def style(request):
    return request.param


@pytest.fixture
def stream(style):
    stream = io.StringIO()
    configure_logs("DEBUG", style, stream)
    return stream


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_scrubbed_wherever_they_stand(stream, secret):
    log = logging.getLogger("realtime.room")
    log.warning("seen: %s, (%s) '%s'", secret, secret, secret)
    log.warning("field", extra={"detail": f"x={secret}"})
    log.warning("query", extra={"path": f"/x?token={secret}&y=1"})
    try:
        raise CartroomError("internal", f"it is {secret}.")
    except CartroomError:
        log.exception("failed")
    assert secret not in stream.getvalue()
    assert "hunter22" not in stream.getvalue()
    assert stream.getvalue().count("[redacted]") >= 6


@pytest.mark.parametrize("name", ["token", "password", "email", "authorization", "remote", "peer"])
def test_a_field_with_a_secret_name_is_never_written(stream, name):
    logging.getLogger("handlers.socket").warning("x", extra={name: "hunter22"})
    assert "hunter22" not in stream.getvalue()


def test_what_identifies_work_is_kept(stream, style):
    fields = {
        "conn": "3f2a90bb1c04",
        "cart": "crt_5f0c2a9be1d34c7788aa01ff",
        "op": "0b54e0a6-5c3e-4c27-8d3c-1a2b3c4d5e6f:17",
        "rev": 41,
        "duration_ms": 1.5,
        "resumed": True,
        "reason": None,
    }
    logging.getLogger("realtime.room").info("op committed at 12:30:59.123", extra=fields)
    line = stream.getvalue()
    if style == "json":
        entry = json.loads(line)
        assert entry.pop("at").endswith("Z")
        assert entry == {
            "level": "INFO",
            "logger": "realtime.room",
            "message": "op committed at 12:30:59.123",
            **fields,
        }
    else:
        assert " INFO realtime.room op committed at 12:30:59.123 conn=3f2a90bb1c04 " in line
        for name, value in fields.items():
            assert f"{name}={value}" in line


def test_of_other_peoples_messages_only_the_template_is_written(stream):
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "hunter22")
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: hunter22")
    logging.getLogger("redis").warning("gone", extra={"detail": "hunter22"})
    assert "Error handling request from %s" in stream.getvalue()
    assert "Task exception was never retrieved" in stream.getvalue()
    assert "hunter22" not in stream.getvalue()


@pytest.mark.parametrize("name", ["pymongo", "pymongo.command", "motor", "redis", "aiohttp.access"])
def test_drivers_don_t_chat(stream, name):
    logging.getLogger(name).info("hunter22")
    logging.getLogger(name).debug("hunter22")
    assert not stream.getvalue()


def test_of_an_exception_type_place_and_causes_are_written_and_no_data(stream):
    data = "hunter22"  # in a variable, since lines of code are written
    try:
        try:
            raise DuplicateKeyError(f"E11000 duplicate key: {data}")
        except DuplicateKeyError as error:
            raise KeyError(data) from error
    except KeyError:
        logging.getLogger("storage.users").exception("failed")
    text = stream.getvalue()
    assert "builtins.KeyError" in text
    assert "caused by pymongo.errors.DuplicateKeyError" in text
    assert "test_logs.py" in text
    assert text.count("hunter22") == text.count('data = "hunter22"')


def test_what_a_faulty_program_says_of_itself_is_written(stream):
    try:
        None.nothing  # noqa: B018
    except AttributeError:
        logging.getLogger("realtime.room").exception("failed")
    assert "object has no attribute 'nothing'" in stream.getvalue()


def test_a_group_of_exceptions_tells_their_kinds(stream):
    try:
        raise ExceptionGroup("hunter", [KeyError("x"), OSError(111, "refused by 192.0.2.1")])
    except ExceptionGroup:
        logging.getLogger("realtime.room").exception("failed")
    assert "ExceptionGroup of 2: KeyError, ConnectionRefusedError" in stream.getvalue()


def test_a_line_break_in_a_value_is_no_new_line(stream):
    logging.getLogger("realtime.room").info("a\nb", extra={"cart": "x\n2026-01-01 ERROR forged"})
    assert len(stream.getvalue().splitlines()) == 1


def test_the_level_is_kept():
    stream = io.StringIO()
    configure_logs("WARNING", "text", stream)
    logging.getLogger("realtime.room").info("quiet")
    logging.getLogger("realtime.room").warning("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


@given(st.text(max_size=200), st.sampled_from(SECRETS), st.text(max_size=200))
def test_no_surroundings_let_an_address_through(before, secret, after):
    # Glued to letters or digits it is another word, and perhaps nothing secret.
    assert secret not in redact(f"{before} {secret} {after}")


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_whatever_is_logged_is_one_line_of_json_or_text(message, extra):
    record = logging.makeLogRecord({"name": "realtime.x", "msg": "%s", "args": (message,)})
    vars(record).update({f"x_{name}": value for name, value in extra.items()})
    assert json.loads(JsonFormatter().format(record))["logger"] == "realtime.x"
    assert len(TextFormatter().format(record).splitlines()) == 1
