"""Kafka by settings: how it is reached, which topics, and how events are told."""

from __future__ import annotations

import ssl
from pathlib import Path

from events.kafka.access import KafkaAccess
from events.kafka.codec import Encoder
from events.kafka.sink import KafkaSink
from events.kafka.topics import Topics
from server.settings import Settings, SettingsError

SCHEMAS_PATH = "api/events/"
"""Where the schemas of events are served, below the public address."""


def kafka_access(settings: Settings) -> KafkaAccess | None:
    """How Kafka is reached, None without Kafka. Raises SettingsError with what is wrong."""
    if settings.kafka_bootstrap is None:
        return None
    if settings.kafka_username is not None and settings.kafka_password is None:
        raise SettingsError("CARTROOM_KAFKA_PASSWORD: needed with CARTROOM_KAFKA_USERNAME")
    return KafkaAccess(
        bootstrap=settings.kafka_bootstrap,
        tls=_tls(settings),
        sasl_mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_username,
        password=settings.kafka_password,
    )


def kafka_topics(settings: Settings) -> Topics:
    return Topics(
        prefix=settings.kafka_topic_prefix,
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication,
        retention_s=settings.kafka_retention_s,
        dead_letters_retention_s=settings.kafka_dead_letters_retention_s,
    )


def event_encoder(settings: Settings) -> Encoder:
    """Schemas are named where it is known under which address they are served."""
    served = settings.public_url
    schemas_url = None if served is None else f"{served}{SCHEMAS_PATH}"
    return Encoder(settings.events_source, schemas_url)


def kafka_sink(settings: Settings) -> KafkaSink | None:
    """Where events go, None without Kafka. Raises SettingsError. To be closed."""
    access = kafka_access(settings)
    if access is None:
        return None
    return KafkaSink(access, kafka_topics(settings), event_encoder(settings))


def _tls(settings: Settings) -> ssl.SSLContext | None:
    files = {
        "CARTROOM_KAFKA_TLS_CA": settings.kafka_tls_ca,
        "CARTROOM_KAFKA_TLS_CERT": settings.kafka_tls_cert,
        "CARTROOM_KAFKA_TLS_KEY": settings.kafka_tls_key,
    }
    if not settings.kafka_tls:
        for variable, path in files.items():
            if path is not None:
                raise SettingsError(f"{variable}: is of no use without CARTROOM_KAFKA_TLS=1")
        return None
    if (settings.kafka_tls_cert is None) != (settings.kafka_tls_key is None):
        raise SettingsError(
            "CARTROOM_KAFKA_TLS_CERT, CARTROOM_KAFKA_TLS_KEY: set both of them or none"
        )
    for variable, path in files.items():
        if path is not None:
            _check_readable(variable, path)
    try:
        context = ssl.create_default_context(cafile=settings.kafka_tls_ca)
        if settings.kafka_tls_cert is not None:
            context.load_cert_chain(settings.kafka_tls_cert, settings.kafka_tls_key, "")
    except ssl.SSLError as error:
        named = ", ".join(variable for variable, path in files.items() if path is not None)
        raise SettingsError(f"{named}: expected PEM files that belong together") from error
    return context


def _check_readable(variable: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{variable}: can't read {path}: {error.strerror}") from error
