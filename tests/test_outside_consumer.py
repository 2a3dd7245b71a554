"""An outsider's consumer, Debian's kcat, understands what service and relay put on Kafka."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest

from commerce.catalog.documents import to_document
from server.settings import Settings
from storage.mongo import Database
from storage.products import Products
from tests.client import APPLE, BREAD
from tests.event_schemas import check_data
from tests.helpers import eventually
from tests.instances import running_instances
from tests.worker_processes import running_workers

PATIENCE_S = 120.0
REQUIRED = {"ce_specversion", "ce_id", "ce_source", "ce_type"}


@dataclass(frozen=True)
class Seen:
    """A record as kcat tells of it."""

    partition: int
    key: str
    headers: dict[str, str]
    data: Any

    @property
    def type(self) -> str:
        return self.headers["ce_type"]


@pytest.fixture
def kcat() -> str:
    program = shutil.which("kcat")
    if program is None:
        pytest.skip("no kcat. On Debian: apt install kcat")
    return program


async def consumed(program: str, bootstrap: str, topic: str) -> list[Seen]:
    """What kcat reads from the topic's beginning to its end; nothing while there is no topic."""
    kcat = await asyncio.create_subprocess_exec(
        *(program, "-C", "-q", "-J", "-e", "-b", bootstrap, "-t", topic, "-o", "beginning"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(PATIENCE_S):
        output, _ = await kcat.communicate()
    found = []
    for line in output.splitlines():
        record = json.loads(line)
        headers = dict(zip(record["headers"][::2], record["headers"][1::2], strict=True))
        data = json.loads(record["payload"])
        found.append(Seen(record["partition"], record["key"], headers, data))
    return found


def check_envelope(seen: Seen) -> None:
    """It is a CloudEvent in binary mode, of a type whose schema the data meets."""
    assert seen.headers.keys() >= REQUIRED
    assert seen.headers["ce_specversion"] == "1.0"
    assert seen.headers["content-type"] == "application/json"
    assert datetime.fromisoformat(seen.headers["ce_time"]).tzinfo is not None
    assert seen.headers["ce_partitionkey"] == seen.key
    check_data(seen.type, seen.data)


async def test_kcat_follows_what_happens_in_carts_and_to_products(
    settings: Settings, database: Database, kafka: str, topic_prefix: str, kcat: str
) -> None:
    settings = replace(
        settings, kafka_bootstrap=(kafka,), kafka_topic_prefix=topic_prefix, follow_every_s=0.1
    )
    await Products(database).upsert([to_document(one) for one in (APPLE, BREAD)])
    async with (
        running_instances(settings, 1) as (instance,),
        running_workers(settings, "relay"),
    ):
        ana, bea = await instance.account("Ana"), await instance.account("Bea")
        async with instance.connect(ana) as first, instance.connect(bea) as second:
            cart, other = await first.create(name="Früchte 🍎"), await second.create()
            line = await first.add(cart, "APPLE", 2)
            await first.share(cart, bea)
            await second.op(cart, "change_quantity", line=line, by=1)
            await second.op(other, "rename", name="Other")
            await second.op(cart, "unshare", user=bea.user)
            told = {
                cart: await first.request("cart.history", cart=cart),
                other: await second.request("cart.history", cart=other),
            }
        count = sum(len(history["ops"]) for history in told.values())

        async def all_there() -> list[Seen]:
            seen = await consumed(kcat, kafka, f"{topic_prefix}carts")
            return seen if len({each.headers["ce_id"] for each in seen}) == count else []

        seen = await eventually(all_there, PATIENCE_S)

        async def products_there() -> list[Seen]:
            seen = await consumed(kcat, kafka, f"{topic_prefix}products")
            return seen if {each.key for each in seen} == {"APPLE", "BREAD"} else []

        products = await eventually(products_there, PATIENCE_S)
    for each in products:
        check_envelope(each)
        assert each.type == "cartroom.product.changed"
        assert each.headers["ce_subject"] == each.data["sku"] == each.key
    by_cart: dict[str, list[Seen]] = defaultdict(list)
    for each in seen:
        check_envelope(each)
        by_cart[each.key].append(each)
    assert by_cart.keys() == told.keys()
    for key, records in by_cart.items():
        assert len({each.partition for each in records}) == 1
        # At least once: one that comes again has the id that it had.
        ops = {each.headers["ce_id"]: each for each in records}.values()
        assert [int(each.headers["ce_sequence"]) for each in ops] == [*range(1, len(ops) + 1)]
        for each, op in zip(ops, told[key]["ops"], strict=True):
            assert each.headers["ce_subject"] == key
            assert each.type == f"cartroom.cart.{op['op']['kind']}"
            assert (each.data["rev"], each.data["by"], each.data["at"], each.data["op_id"]) == (
                *(op["rev"], op["by"], op["at"], op["op_id"]),
            )
    assert not any(name in str(each.data) for each in seen for name in ("Ana", "Bea"))
