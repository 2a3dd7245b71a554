"""The settings that say how Kafka is reached, and what its topics are like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from server import read
from server.setting import setting


@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """A part of `Settings`."""

    kafka_bootstrap: tuple[str, ...] | None = setting(
        "KAFKA_BOOTSTRAP",
        read.servers,
        None,
        "servers like kafka-1:9092, separated by commas",
        "Kafka servers to begin with; unset: no Kafka",
    )
    kafka_tls: bool = setting(
        "CARTROOM_KAFKA_TLS", read.flag, False, "1 or 0", "Speak TLS with Kafka"
    )
    kafka_tls_ca: Path | None = setting(  # noqa: RUF009 - it makes a field
        "CARTROOM_KAFKA_TLS_CA",
        Path,
        None,
        "a PEM file",
        "Who may sign Kafka's certificates; unset: whom the system trusts",
    )
    kafka_tls_cert: Path | None = setting(  # noqa: RUF009 - it makes a field
        "CARTROOM_KAFKA_TLS_CERT",
        Path,
        None,
        "a PEM file",
        "Our certificate, where Kafka asks for one",
    )
    kafka_tls_key: Path | None = setting(  # noqa: RUF009 - it makes a field
        "CARTROOM_KAFKA_TLS_KEY", Path, None, "a PEM file", "The private key of that certificate"
    )
    kafka_sasl_mechanism: str = setting(
        "CARTROOM_KAFKA_SASL_MECHANISM",
        read.sasl_mechanism,
        "SCRAM-SHA-512",
        "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
        "How we sign in to Kafka",
    )
    kafka_username: str | None = setting(
        "CARTROOM_KAFKA_USERNAME",
        read.text,
        None,
        "a name",
        "Whom we sign in to Kafka as; unset: we don't",
    )
    kafka_password: str | None = setting(
        "CARTROOM_KAFKA_PASSWORD", read.text, None, "a password", "Their password"
    )
    kafka_topic_prefix: str = setting(
        "CARTROOM_KAFKA_TOPIC_PREFIX",
        read.topic_prefix,
        "cartroom.",
        "up to 200 letters, digits, ., - and _",
        "What the names of our topics and groups begin with",
    )
    kafka_partitions: int = setting(
        "CARTROOM_KAFKA_PARTITIONS",
        read.positive_int,
        12,
        "a number above 0",
        "Partitions of a topic that is created",
    )
    kafka_replication: int = setting(
        "CARTROOM_KAFKA_REPLICATION",
        read.positive_int,
        1,
        "a number above 0",
        "Copies of each partition of a topic that is created",
    )
    kafka_retention_s: int = setting(
        "CARTROOM_KAFKA_RETENTION_S",
        read.positive_int,
        604_800,
        "seconds",
        "How long a topic that is created keeps events",
    )
    kafka_dead_letters_retention_s: int = setting(
        "CARTROOM_KAFKA_DEAD_LETTERS_RETENTION_S",
        read.positive_int,
        2_592_000,
        "seconds",
        "How long it keeps dead letters",
    )
    events_source: str = setting(
        "CARTROOM_EVENTS_SOURCE",
        read.uri_reference,
        "/cartroom",
        "a URI or a path",
        "The `source` of our events, for who reads those of several services",
    )
