"""Consumer groups on a real Kafka: everything is handled, whatever fails; what can't be waits."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from aiokafka import AIOKafkaProducer
from pymongo.errors import AutoReconnect

from events.event import Event
from events.kafka.access import KafkaAccess
from events.kafka.codec import Encoder
from events.kafka.consumer import KafkaConsumer
from events.kafka.dead_letters import DeadLetters
from events.kafka.letter import Letter
from events.kafka.sink import KafkaSink
from events.kafka.topics import MESSAGE_BYTES_MAX, Topics
from events.notifications.notifier import Notifier, Stores
from events.sink import CartEvents
from server import cli
from server.notifying import WAITING_HELPS
from storage.users import Users
from tests.helpers import eventually

LONG_S = 120.0


class Nobody:
    """Hears of what the notifier tells."""

    async def raised(self, inbox, one):
        pass

    def moved(self, inbox):
        pass


class Handled:
    """A handler that notes what it was given. `stumble(event)` may raise."""

    def __init__(self, stumble=lambda event: None):
        self.stumble = stumble
        self.revs = {}
        self.given = []

    async def __call__(self, events):
        assert len({event.key for event in events}) == 1
        for event in events:
            self.stumble(event)
        self.given.append([event.sequence for event in events])
        for event in events:
            revs = self.revs.setdefault(event.key, [])
            if event.sequence not in revs:
                revs.append(event.sequence)

    async def until(self, expected):
        await eventually(lambda: self.revs == expected, LONG_S, f"{expected}, but {self.revs}")


def topics_of(prefix):
    return Topics(prefix, partitions=4)


async def publish(address, prefix, given, time_ms=1_000):
    """`given`: by cart, the revs to publish."""
    sink = KafkaSink(KafkaAccess((address,)), topics_of(prefix), Encoder("/cartroom"))
    try:
        taken = await sink.deliver(
            [
                CartEvents(cart, tuple(op(cart, rev, time_ms) for rev in revs), 100)
                for cart, revs in given.items()
            ]
        )
        assert taken == {cart: revs[-1] for cart, revs in given.items()}
    finally:
        await sink.close()


def op(cart, rev, time_ms):
    return Event(f"{cart}:{rev}", "cartroom.cart.clear", cart, cart, rev, time_ms, {"rev": rev})


@asynccontextmanager
async def consuming(address, prefix, handler, **options):
    consumer = KafkaConsumer(
        KafkaAccess((address,)),
        topics_of(prefix),
        handler,
        group=f"{prefix}notify",
        away=WAITING_HELPS,
        backoff_s=0.01,
        **options,
    )
    task = asyncio.create_task(consumer.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def dead_letters(address, prefix):
    letters = DeadLetters(KafkaAccess((address,)), topics_of(prefix))
    try:
        yield letters
    finally:
        await letters.close()


async def test_a_poisoned_record_waits_as_a_dead_letter_and_can_be_replayed(
    kafka, topic_prefix, monkeypatch, capsys
):
    async with AIOKafkaProducer(bootstrap_servers=kafka) as foreign:
        await publish(kafka, topic_prefix, {"crt_a": [1, 2, 3], "crt_b": [1, 2]})
        headers = [("ce_specversion", None), ("note", None)]  # without values
        await foreign.send_and_wait(f"{topic_prefix}carts", b"\xff", key=b"crt_a", headers=headers)
    poison = {"crt_a:2"}
    tries = []

    def stumble(event):
        tries.append(event.id)
        if event.id in poison:
            raise ZeroDivisionError("no such thing")

    handled = Handled(stumble)
    async with consuming(kafka, topic_prefix, handled):
        await handled.until({"crt_a": [1, 3], "crt_b": [1, 2]})
        # Once with those beside it, five times by itself.
        assert tries.count("crt_a:2") >= 6

        monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka)
        monkeypatch.setenv("CARTROOM_KAFKA_TOPIC_PREFIX", topic_prefix)

        async def command(*arguments):
            status = await asyncio.to_thread(cli.main, ["dead-letters", *arguments])
            return status, capsys.readouterr().out

        async def two():
            _, out = await command("list")
            return out if len(out.splitlines()) == 2 else None

        listed = await eventually(two, LONG_S)
        event, junk = sorted(listed.splitlines(), key=lambda line: "no event" in line)
        assert re.search(r"carts/\d/1  cartroom.cart.clear  crt_a:2  ZeroDivisionError: no", event)
        assert re.search(r"no event  -  not CloudEvents 1.0: nothing", junk)
        assert "note: none" in (await command("show", junk.split()[0]))[1]
        number, of_junk = event.split()[0], junk.split()[0]
        status, out = await command("show", number)
        assert status == 0
        assert "ce_id: crt_a:2" in out
        assert '"rev": 2' in out
        status, out = await command("show", "999")
        assert (status, out) == (1, "999: no such letter, or it was put back\n")

        poison.clear()
        assert await command("replay", number) == (0, f"{number}: back on {topic_prefix}carts\n")
        await handled.until({"crt_a": [1, 3, 2], "crt_b": [1, 2]})
        status, out = await command("list")
        assert out.splitlines() == [junk]
        assert (await command("replay", number))[0] == 1
        # It comes back as another letter, as it is no better than before.
        assert (await command("replay", "--all"))[0] == 0

        async def another():
            _, out = await command("list")
            return "no event" in out and not out.startswith(f"{of_junk} ")

        await eventually(another, LONG_S)


async def test_what_the_log_does_not_have_holds_up_nobody(kafka, topic_prefix, database):
    """As after the store was put back to what it was some time ago."""
    notifier = Notifier(Stores.of(database), Users(database).names, Nobody(), window_s=600.0)
    others = {f"crt_{number}": [1] for number in range(12)}  # on every partition
    handled = Handled()

    async def handle(events):
        await (notifier.handle if events[0].key == "crt_lost" else handled)(events)

    await publish(kafka, topic_prefix, {"crt_lost": [7]})
    await publish(kafka, topic_prefix, others)
    async with consuming(kafka, topic_prefix, handle):
        await handled.until(others)
        async with dead_letters(kafka, topic_prefix) as letters:
            (number,) = await eventually(letters.numbers, LONG_S)
            found = [letter async for letter in letters.letters({number})]
    assert [letter.header("ce_id") for letter in found] == ["crt_lost:7"]
    assert "IncompleteReadError" in found[0].reason


async def test_a_record_as_large_as_a_topic_takes_can_be_a_dead_letter(kafka, topic_prefix):
    key, value = bytes(400_000), bytes(MESSAGE_BYTES_MAX - 400_200)
    large = Letter(f"{topic_prefix}carts", 0, 7, key, value, (), "x" * 1_000, "now")
    async with dead_letters(kafka, topic_prefix) as letters:
        await letters.put(large)
        numbers = await letters.numbers()
        assert [replace(one, number=None) async for one in letters.letters(numbers)] == [large]


async def test_while_a_store_is_away_events_wait_and_are_committed_once_handled(
    kafka, topic_prefix
):
    await publish(kafka, topic_prefix, {"crt_a": [1, 2], "crt_b": [5]})
    failures = iter(range(9))

    def stumble(_event):
        if next(failures, None) is not None:
            raise AutoReconnect("the store is away")

    first = Handled(stumble)
    async with consuming(kafka, topic_prefix, first):
        await first.until({"crt_a": [1, 2], "crt_b": [5]})
        await publish(kafka, topic_prefix, {"crt_b": [6]})
        await first.until({"crt_a": [1, 2], "crt_b": [5, 6]})
    await publish(kafka, topic_prefix, {"crt_a": [3], "crt_b": [7]})
    second = Handled()
    async with consuming(kafka, topic_prefix, second):
        await second.until({"crt_a": [3], "crt_b": [7]})


async def test_a_consumer_waits_for_kafka(kafka_broker, topic_prefix):
    await publish(kafka_broker.direct, topic_prefix, {"crt_a": [1]})
    await kafka_broker.proxy.down()
    handled = Handled()
    async with consuming(kafka_broker.bootstrap, topic_prefix, handled) as task:
        done, _ = await asyncio.wait([task], timeout=0.5)
        assert not done
        await kafka_broker.proxy.up()
        await handled.until({"crt_a": [1]})


async def test_when_one_of_two_consumers_is_gone_the_other_has_everything(
    kafka_broker, topic_prefix
):
    carts = [f"crt_{number}" for number in range(12)]
    address = kafka_broker.direct
    await publish(address, topic_prefix, {cart: [1, 2] for cart in carts})
    one, other = Handled(), Handled()
    options = {"session_s": 6.0}  # the least that a broker allows
    async with (
        consuming(address, topic_prefix, other, **options),
        consuming(kafka_broker.bootstrap, topic_prefix, one, **options),
    ):

        def both(rev):
            return all(
                rev in one.revs.get(cart, ()) or rev in other.revs.get(cart, ()) for cart in carts
            )

        await eventually(lambda: both(2), LONG_S)
        revs = iter(range(3, 1_000))

        async def shared():
            rev = next(revs)
            await publish(address, topic_prefix, {cart: [rev] for cart in carts})
            await eventually(lambda: both(rev), LONG_S)
            return any(revs[-1] == rev for revs in one.revs.values()) and any(
                revs[-1] == rev for revs in other.revs.values()
            )

        await eventually(shared, LONG_S)
        # It is cut off, and says nothing any more, not even that it leaves.
        await kafka_broker.proxy.down()
        last = next(revs)
        await publish(address, topic_prefix, {cart: [last] for cart in carts})
        await eventually(lambda: all(revs[-1] == last for revs in other.revs.values()), LONG_S)
        await eventually(lambda: len(other.revs) == len(carts), LONG_S)
        assert not any(last in revs for revs in one.revs.values())
        for revs in (*one.revs.values(), *other.revs.values()):
            assert revs == sorted(revs)


async def test_an_event_is_handed_over_when_it_is_old_enough(kafka, topic_prefix):
    now_ms = int(time.time() * 1_000)
    ages = []
    handled = Handled(lambda event: ages.append(time.time() - event.time_ms / 1_000))
    await publish(kafka, topic_prefix, {"crt_a": [1], "crt_b": [1]}, now_ms)
    async with consuming(kafka, topic_prefix, handled, delay_s=2.0):
        await handled.until({"crt_a": [1], "crt_b": [1]})
    assert min(ages) >= 2.0
