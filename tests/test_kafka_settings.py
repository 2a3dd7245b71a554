"""What the settings of Kafka make, and how each that can't be used is told."""

from __future__ import annotations

import ssl

import pytest
import trustme

from events.event import Event
from events.kafka.access import KafkaAccess
from events.kafka.producer import Producer
from server.kafka import event_encoder, kafka_access, kafka_sink, kafka_topics
from server.settings import Settings, SettingsError


def settings(**given: str) -> Settings:
    prefixed = {
        name if name == "KAFKA_BOOTSTRAP" else f"CARTROOM_{name}": value
        for name, value in given.items()
    }
    return Settings.from_environ(prefixed)


def test_without_servers_there_is_no_kafka():
    assert kafka_access(settings()) is None
    assert kafka_sink(settings()) is None


def test_servers_alone_are_spoken_with_in_the_clear():
    access = kafka_access(settings(KAFKA_BOOTSTRAP="kafka-1:9092, [::1]:9093"))
    assert access.options()["bootstrap_servers"] == ["kafka-1:9092", "[::1]:9093"]
    assert access.options()["security_protocol"] == "PLAINTEXT"
    assert "sasl_mechanism" not in access.options()


def test_topics_are_as_set():
    given = settings(
        KAFKA_TOPIC_PREFIX="shop-eu.",
        KAFKA_PARTITIONS="6",
        KAFKA_REPLICATION="3",
        KAFKA_RETENTION_S="60",
        KAFKA_DEAD_LETTERS_RETENTION_S="90",
    )
    new = {topic.name: topic for topic in kafka_topics(given).new()}
    assert sorted(new) == ["shop-eu.carts", "shop-eu.dead-letters", "shop-eu.products"]
    assert [new[name].num_partitions for name in sorted(new)] == [6, 1, 6]
    assert {topic.replication_factor for topic in new.values()} == {3}
    kept = [new[name].topic_configs["retention.ms"] for name in sorted(new)]
    assert kept == ["60000", "90000", "60000"]
    assert {topic.topic_configs["min.insync.replicas"] for topic in new.values()} == {"2"}


@pytest.mark.parametrize(("tls", "protocol"), [("0", "SASL_PLAINTEXT"), ("1", "SASL_SSL")])
def test_signing_in(tls, protocol):
    given = {"KAFKA_BOOTSTRAP": "kafka:9092", "KAFKA_USERNAME": "cartroom", "KAFKA_TLS": tls}
    options = kafka_access(settings(**given, KAFKA_PASSWORD="secret phrase")).options()
    assert options["security_protocol"] == protocol
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["sasl_plain_username"] == "cartroom"
    assert options["sasl_plain_password"] == "secret phrase"
    assert "secret" not in repr(kafka_access(settings(**given, KAFKA_PASSWORD="secret phrase")))
    with pytest.raises(SettingsError, match="CARTROOM_KAFKA_PASSWORD: needed with"):
        kafka_access(settings(**given))


async def test_every_way_to_sign_in_is_one_that_clients_take():
    context = ssl.create_default_context()
    for tls in (None, context):
        for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
            access = KafkaAccess(("kafka:9092",), tls, mechanism, "cartroom", "secret")
            await Producer(access, 1_000).end()


def test_certificates(tmp_path):
    authority = trustme.CA()
    ours = authority.issue_cert("cartroom.shop.example")
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(ca)
    ours.cert_chain_pems[0].write_to_path(cert)
    ours.private_key_pem.write_to_path(key)
    base = {"KAFKA_BOOTSTRAP": "kafka:9093", "KAFKA_TLS": "1", "KAFKA_TLS_CA": str(ca)}
    own = {"KAFKA_TLS_CERT": str(cert), "KAFKA_TLS_KEY": str(key)}
    access = kafka_access(settings(**base, **own))
    assert access.options()["security_protocol"] == "SSL"
    assert access.tls.verify_mode is ssl.CERT_REQUIRED
    assert access.tls.check_hostname
    assert len(access.tls.get_ca_certs()) == 1
    for wrong, message in [
        ({**base, "KAFKA_TLS_CERT": str(cert)}, "set both of them or none"),
        ({**base, **own, "KAFKA_TLS": "0"}, "CARTROOM_KAFKA_TLS_CA: is of no use without"),
        ({**base, "KAFKA_TLS_CA": str(key)}, "expected PEM files"),
        ({**base, "KAFKA_TLS_CA": str(tmp_path / "none")}, "CARTROOM_KAFKA_TLS_CA: can't read"),
    ]:
        with pytest.raises(SettingsError, match=message):
            kafka_access(settings(**wrong))


def test_source_and_the_address_of_schemas_are_told():
    event = Event("crt_a:1", "cartroom.cart.clear", "crt_a", "crt_a", 1, 0, {})
    headers = dict(event_encoder(settings()).encode(event).headers)
    assert headers["ce_source"] == b"/cartroom"
    assert "ce_dataschema" not in headers
    given = settings(PUBLIC_URL="https://shop.example/carts", EVENTS_SOURCE="urn:shop:eu")
    headers = dict(event_encoder(given).encode(event).headers)
    assert headers["ce_source"] == b"urn:shop:eu"
    schema = "https://shop.example/carts/api/events/cartroom.cart.clear.json"
    assert headers["ce_dataschema"].decode() == schema


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP", "kafka"),
        ("KAFKA_BOOTSTRAP", "kafka:9092/path"),
        ("KAFKA_BOOTSTRAP", "kafka:none"),
        ("KAFKA_BOOTSTRAP", ","),
        ("KAFKA_TOPIC_PREFIX", "shop/eu"),
        ("KAFKA_PARTITIONS", "0"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("EVENTS_SOURCE", "two words"),
    ],
)
def test_what_can_not_be_used_is_named(variable, value):
    with pytest.raises(SettingsError, match=rf"{variable}: expected "):
        settings(**{variable: value})
