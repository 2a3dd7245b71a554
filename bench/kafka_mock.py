"""A Kafka that costs next to nothing: librdkafka's mock cluster, with our topics. For benches.

    python -m bench.kafka_mock --prefix cartroom.

It keeps what it is given in memory, a few MiB a partition. What Kafka itself costs is none of the
service's, and on one machine would hide what the relay costs.
"""

from __future__ import annotations

import argparse
import signal

from confluent_kafka import Producer

TOPICS = ("carts", "products", "dead-letters")
READY_S = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefix", default="cartroom.")
    args = parser.parse_args()
    producer = Producer({"bootstrap.servers": "ignored", "test.mock.num.brokers": 1})
    address = ""
    for topic in TOPICS:
        # Asking for it makes it.
        found = producer.list_topics(f"{args.prefix}{topic}", READY_S)
        address = next(f"{one.host}:{one.port}" for one in found.brokers.values())
    print(f"Listening at {address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
