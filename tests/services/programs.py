"""How each server is started: its settings, command line and variables."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.services.installed import ferretdb, java, kafka_jars

JVM = (
    *("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    *("-XX:-UsePerfData", "-Xshare:auto", "-Djava.awt.headless=true"),
    *(
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
    ),
)


def java_command(main: str, *arguments: str) -> list[str]:
    """A main class of Kafka's. Raises NotInstalledError."""
    return [java(), *JVM, "-cp", f"{kafka_jars()}{os.sep}*", main, *arguments]


def format_kafka(properties: Path, *more: str) -> list[str]:
    """Makes a new, empty cluster in the folder that the properties name; they exist already."""
    # The first letter is none that would make an option of it: one in 64 begins with a dash.
    cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    arguments = ("format", "--cluster-id", cluster, "--config", str(properties))
    return java_command("kafka.tools.StorageTool", *arguments, *more)


def run_kafka(properties: Path) -> list[str]:
    return java_command("kafka.Kafka", str(properties))


def kafka_properties(
    data: Path,
    listeners: dict[str, tuple[int, int]],
    controller: int,
    protocols: Mapping[str, str] = MappingProxyType({}),
    more: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Settings of a broker that is its own controller, on loopback, of a size for tests.

    `listeners` are names with the port to listen on and the one to tell clients; `protocols` those
    that aren't spoken in the clear, with what they take from `more`.
    """
    places = [f"{name}://127.0.0.1:{port}" for name, (port, _) in listeners.items()]
    told = [f"{name}://127.0.0.1:{port}" for name, (_, port) in listeners.items()]
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join((*places, f"CONTROLLER://127.0.0.1:{controller}")),
        "advertised.listeners": ",".join(told),
        "listener.security.protocol.map": ",".join(
            f"{name}:{protocols.get(name, 'PLAINTEXT')}" for name in (*listeners, "CONTROLLER")
        ),
        "inter.broker.listener.name": next(iter(listeners)),
        "log.dirs": data,
        # Until its last life's session is over, a killed broker isn't let in again.
        "broker.session.timeout.ms": 3_000,
        "broker.heartbeat.interval.ms": 500,
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "offsets.topic.num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
        "log.index.size.max.bytes": 1024 * 1024,
        "file.delete.delay.ms": 1_000,
        **more,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def run_ferretdb(folder: Path, port: int) -> list[str]:
    """FerretDB with its SQLite files in the folder. Raises NotInstalledError."""
    return [str(ferretdb()), "-listen", f"127.0.0.1:{port}", "-data", str(folder)]
