"""A real Kafka that lets in only who is known, over TLS: events go in and out, strangers hear why.

All by settings, as operators give them.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest
import trustme

from events.event import Event
from events.kafka.consumer import KafkaConsumer
from events.sink import CartEvents, SinkAwayError
from server import cli
from server.kafka import kafka_access, kafka_sink, kafka_topics
from server.settings import Settings
from tests.helpers import eventually
from tests.published import first_deliveries, published
from tests.services.secured import CERTIFICATES, PASSWORDS, USER

LONG_S = 120.0


def variables(broker, topic_prefix, mechanism="SCRAM-SHA-512"):
    """Of somebody who signs in by a password."""
    return {
        "KAFKA_BOOTSTRAP": broker.address(PASSWORDS),
        "CARTROOM_KAFKA_TOPIC_PREFIX": topic_prefix,
        "CARTROOM_KAFKA_PARTITIONS": "2",
        "CARTROOM_KAFKA_TLS": "1",
        "CARTROOM_KAFKA_TLS_CA": str(broker.secured.ca),
        "CARTROOM_KAFKA_SASL_MECHANISM": mechanism,
        "CARTROOM_KAFKA_USERNAME": USER,
        "CARTROOM_KAFKA_PASSWORD": broker.secured.password,
    }


def without(given, *names):
    return {name: value for name, value in given.items() if name not in names}


def by_certificate(broker, topic_prefix, authority, folder):
    """Somebody who has a certificate, with its files in the folder."""
    ours = authority.issue_cert("cartroom.shop.example")
    cert, key = folder / "cert.pem", folder / "key.pem"
    ours.cert_chain_pems[0].write_to_path(cert)
    ours.private_key_pem.write_to_path(key)
    given = variables(broker, topic_prefix)
    return {
        **without(given, "CARTROOM_KAFKA_USERNAME", "CARTROOM_KAFKA_PASSWORD"),
        "KAFKA_BOOTSTRAP": broker.address(CERTIFICATES),
        "CARTROOM_KAFKA_TLS_CERT": str(cert),
        "CARTROOM_KAFKA_TLS_KEY": str(key),
    }


async def deliver(settings):
    """Publish three revs of a cart."""
    sink = kafka_sink(settings)
    ops = [
        Event(f"crt_a:{rev}", "cartroom.cart.clear", "crt_a", "crt_a", rev, 1_000, {"rev": rev})
        for rev in (1, 2, 3)
    ]
    try:
        async with asyncio.timeout(LONG_S):
            return await sink.deliver([CartEvents("crt_a", tuple(ops), 100)])
    finally:
        await sink.close()


async def consume(settings):
    """The revs that a consumer group is handed."""
    revs = []

    async def handle(events):
        revs.extend(event.sequence for event in events)

    group = f"{settings.kafka_topic_prefix}notify"
    access, topics = kafka_access(settings), kafka_topics(settings)
    task = asyncio.create_task(KafkaConsumer(access, topics, handle, group=group, away=()).run())
    try:
        await eventually(lambda: len(revs) >= 3, LONG_S, "three revs")
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return revs


async def there_and_back(broker, settings):
    assert await deliver(settings) == {"crt_a": 3}
    assert await consume(settings) == [1, 2, 3]
    records = await published(broker.direct, f"{settings.kafka_topic_prefix}carts")
    assert first_deliveries(records) == {"crt_a": [1, 2, 3]}


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
async def test_events_go_in_and_out_for_who_signs_in(kafka_broker, topic_prefix, mechanism):
    given = variables(kafka_broker, topic_prefix, mechanism)
    await there_and_back(kafka_broker, Settings.from_environ(given))


async def test_events_go_in_and_out_for_who_has_a_certificate(kafka_broker, topic_prefix, tmp_path):
    authority = kafka_broker.secured.authority
    given = by_certificate(kafka_broker, topic_prefix, authority, tmp_path)
    await there_and_back(kafka_broker, Settings.from_environ(given))


async def refused(given):
    """What the relay's log says then."""
    with pytest.raises(SinkAwayError) as refusal:
        await deliver(Settings.from_environ(given))
    return str(refusal.value)


TALKS = "see whether it speaks TLS at this address, and CARTROOM_KAFKA_TLS"
NO_TLS = dict.fromkeys(["CARTROOM_KAFKA_TLS", "CARTROOM_KAFKA_TLS_CA"])
NOBODY = dict.fromkeys(["CARTROOM_KAFKA_USERNAME", "CARTROOM_KAFKA_PASSWORD"])
WHO = "see CARTROOM_KAFKA_USERNAME, CARTROOM_KAFKA_PASSWORD and CARTROOM_KAFKA_SASL_MECHANISM"


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"CARTROOM_KAFKA_PASSWORD": "guessed"}, WHO),
        ({"CARTROOM_KAFKA_PASSWORD": "guessed", "CARTROOM_KAFKA_SASL_MECHANISM": "PLAIN"}, WHO),
        ({"CARTROOM_KAFKA_USERNAME": "somebody"}, WHO),
        ({"CARTROOM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256"}, "other ways to sign in"),
        (NOBODY, "does it want to know who we are (CARTROOM_KAFKA_USERNAME"),
        ({"CARTROOM_KAFKA_TLS_CA": None}, "see CARTROOM_KAFKA_TLS_CA, and the names in"),
        (NO_TLS, TALKS),
        ({**NO_TLS, **NOBODY}, TALKS),
    ],
)
async def test_who_is_refused_hears_what_to_do(kafka_broker, topic_prefix, changes, advice, caplog):
    given = {**variables(kafka_broker, topic_prefix), **changes}
    told = await refused(without(given, *(name for name, value in given.items() if value is None)))
    assert advice in told
    assert {record.levelno for record in caplog.records} <= {logging.INFO, logging.WARNING}
    assert kafka_broker.secured.password not in told + caplog.text


@pytest.mark.parametrize(
    ("changes", "advice"),
    [(NOBODY, TALKS), ({}, TALKS), (NO_TLS, "unset CARTROOM_KAFKA_USERNAME")],
)
async def test_an_address_in_the_clear_is_told(kafka_broker, topic_prefix, changes, advice):
    given = {
        **variables(kafka_broker, topic_prefix),
        "KAFKA_BOOTSTRAP": kafka_broker.direct,
        **changes,
    }
    told = await refused(without(given, *(name for name, value in given.items() if value is None)))
    assert advice in told


async def test_a_certificate_of_anybody_is_not_enough(kafka_broker, topic_prefix, tmp_path):
    given = by_certificate(kafka_broker, topic_prefix, trustme.CA(), tmp_path)
    assert "CARTROOM_KAFKA_TLS_CERT" in await refused(given)
    given = without(given, "CARTROOM_KAFKA_TLS_CERT", "CARTROOM_KAFKA_TLS_KEY")
    assert "CARTROOM_KAFKA_TLS_CERT" in await refused(given)


async def test_the_log_of_a_consumer_and_commands_say_it_too(
    kafka_broker, topic_prefix, monkeypatch, capsys, caplog
):
    given = {**variables(kafka_broker, topic_prefix), "CARTROOM_KAFKA_PASSWORD": "guessed"}
    consuming = asyncio.create_task(consume(Settings.from_environ(given)))
    try:
        await eventually(lambda: WHO in caplog.text, LONG_S)
    finally:
        consuming.cancel()
        with suppress(asyncio.CancelledError):
            await consuming
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert await asyncio.to_thread(cli.main, ["dead-letters", "list"]) == 2
    assert WHO in capsys.readouterr().err
