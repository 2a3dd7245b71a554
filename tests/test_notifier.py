"""The notifier: each op is told once to each who is to hear of it, whatever becomes of whom."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect

from events.notifications.notifier import Notifier, Stores
from events.notifications.sink import TRIES, NotifierSink
from events.sink import CartEvents, SinkAwayError
from storage.audiences import Audiences
from storage.cart_settings import CartSettings
from storage.indexes import create_indexes
from storage.mongo import Database
from storage.notifications import (
    CHANGES,
    Edit,
    Inbox,
    Notification,
    Notifications,
    notification_id,
)
from storage.seen import Seen
from storage.users import User, Users
from tests.happening import NOW_MS, USERS, History, Step
from tests.helpers import PATIENCE_S
from tests.tiers import by_tier

WINDOW_S = 600.0


class KilledError(BaseException):
    """What ends a notifier in the middle."""


class Faults:
    """The `number`th call to the store fails, or the notifier ends there, before or after it."""

    def __init__(self, number: int | None, how: str = "", when: str = "before") -> None:
        self._left = number
        self._error = {"away": AutoReconnect, "kill": KilledError, "cancel": asyncio.CancelledError}
        self._how, self._when = how, when

    async def around(self, call: Any) -> Any:
        if self._left is not None:
            self._left -= 1
        if self._left == 0 and self._when == "before":
            raise self._error[self._how]
        result = await call()
        if self._left == 0:
            self._left = None
            raise self._error[self._how]
        return result


class FaultyCollection:
    """A collection whose every call goes through `faults`."""

    def __init__(self, collection: Any, faults: Faults) -> None:
        self._collection = collection
        self._faults = faults

    def find(self, *args: Any, **kwargs: Any) -> FaultyCursor:
        return FaultyCursor(self._collection.find(*args, **kwargs), self._faults)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._collection, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._faults.around(lambda: method(*args, **kwargs))

        return call


class FaultyCursor:
    def __init__(self, cursor: Any, faults: Faults) -> None:
        self._cursor = cursor
        self._faults = faults

    async def to_list(self, length: int | None) -> Any:
        return await self._faults.around(lambda: self._cursor.to_list(length))


class FaultyDatabase:
    def __init__(self, database: Database, faults: Faults) -> None:
        self._database = database
        self._faults = faults

    def collection(self, name: str) -> Any:
        return FaultyCollection(self._database.collection(name), self._faults)

    def raw_collection(self, name: str) -> Any:
        return FaultyCollection(self._database.raw_collection(name), self._faults)


def faulty(database: Database, faults: Faults) -> Stores:
    """Stores of which every call goes through `faults`."""
    stores = Stores.of(FaultyDatabase(database, faults))  # type: ignore[arg-type]
    # Its reads are made by a task of their own, which nobody kills alone.
    seen: Any = FaultyCollection(Seen(database), faults)
    return replace(stores, seen=seen)


class Pushed:
    """Hears of pushes and of what is to be mailed."""

    def __init__(self) -> None:
        self.raised_ids: list[str] = []
        self.notes: list[tuple[str, str, int, str]] = []

    async def raised(self, inbox: Inbox, one: Notification) -> None:
        self.raised_ids.append(one.id)

    def moved(self, inbox: Inbox) -> None:
        pass

    async def note(self, user: str, notification: str, at_ms: int, kind: str) -> None:
        self.notes.append((user, notification, at_ms, kind))


async def names(users: Any) -> dict[str, str]:
    return {user: user.title() for user in users}


def notifier(stores: Stores, pushed: Pushed | None = None) -> Notifier:
    pushed = pushed or Pushed()
    return Notifier(stores, names, pushed, pushed, window_s=WINDOW_S)


async def inboxes(stores: Stores, history: History) -> dict[str, list[dict[str, Any]]]:
    """What everybody was told, without what makes two runs differ: ids, and when it was written."""
    found = {}
    for user in USERS:
        items = (await stores.notifications.inbox(history.user(user))).items
        assert len({one.id for one in items}) == len(items)
        found[user] = [
            {
                key: str(value).replace(history.prefix, "")
                for key, value in asdict(one).items()
                if key != "id"
            }
            for one in items
        ]
        found[user].sort(key=str)
    return found


Delivery = tuple[int, int, int, int | None, str, str]
"""By which notifier, from and up to where (per mille), and what fails at which call."""

STEPS = st.lists(
    st.tuples(
        st.sampled_from(USERS),
        st.sampled_from(["share", "share", "add", "add", "add", "clear", "remove", "leave"])
        | st.sampled_from(["refuse", "delete"]),
        st.sampled_from([0, 1, 200, 700]),
    ),
    min_size=3,
    max_size=24,
)
DELIVERIES = st.lists(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(0, 1_000),
            st.integers(0, 1_000),
            st.none() | st.integers(1, 40),
            st.sampled_from(["away", "kill", "cancel"]),
            st.sampled_from(["before", "after"]),
        ),
        min_size=1,
        max_size=2,
    ),
    max_size=6,
)


class Bench:
    """One loop and one database for all examples."""

    def __init__(self, url: str, name: str) -> None:
        self._runner = asyncio.Runner()
        self._numbers = itertools.count()
        self.database = self._runner.run(self._opened(url, name))
        self.stores = Stores.of(self.database)

    async def _opened(self, url: str, name: str) -> Database:
        database = Database(url, name, journal=False, timeout_s=PATIENCE_S)
        await create_indexes(database)
        return database

    def close(self) -> None:
        self._runner.run(self._close())
        self._runner.close()

    async def _close(self) -> None:
        self.database.close()
        await asyncio.sleep(0)

    def compare(self, steps: Sequence[Step], plan: Sequence[Sequence[Delivery]]) -> None:
        """A clean run, and one with this plan, come to the same, and to what is right."""
        self._runner.run(self._compare(steps, plan))

    async def _compare(self, steps: Sequence[Step], plan: Sequence[Sequence[Delivery]]) -> None:
        clean, other = (History(steps, f"run{next(self._numbers)}x") for _ in range(2))
        seen = {"bea": len(clean.ops) // 2}
        for one in (clean, other):
            await one.write(self.stores.log)
            await self.stores.seen.note({one.cart: {one.user(u): r for u, r in seen.items()}})
            await self.stores.settings.mute(one.user("dora"), one.cart, muted=True)
        await notifier(self.stores).handle(clean.events())
        expected = await inboxes(self.stores, clean)
        self._check(clean, seen, expected)
        faults = [Faults(None), Faults(None)]
        two = [notifier(faulty(self.database, one)) for one in faults]
        for together in plan:
            await asyncio.gather(*(self._deliver(other, two, one) for one in together))
        await notifier(self.stores).handle(other.events())
        assert await inboxes(self.stores, other) == expected

    async def _deliver(self, history: History, two: list[Notifier], delivery: Delivery) -> None:
        which, start, end, *fault = delivery
        events = history.events()
        low, high = sorted(round(part * len(events) / 1_000) for part in (start, end))
        if not events[low:high]:
            return
        if fault[0] is not None:
            two[which] = notifier(faulty(self.database, Faults(*fault)))
        try:
            await two[which].handle(events[low:high])
        except (AutoReconnect, KilledError, asyncio.CancelledError):
            two[which] = notifier(self.stores)  # another takes over

    def _check(self, history: History, seen: dict[str, int], told: Any) -> None:
        for user, revs in history.expected.items():
            right = [
                (kind, rev)
                for kind, rev in revs
                if rev > seen.get(user, 0) and not (user == "dora" and kind == CHANGES)
            ]
            counts: Counter[str] = Counter()
            for one in told[user]:
                counts[one["kind"]] += int(one["count"])
            assert counts == Counter(kind for kind, _ in right), (user, told[user])
            if right:
                assert max(int(one["last_rev"]) for one in told[user]) == right[-1][1]


@pytest.fixture
def bench(mongodb_url: str, database_name: str) -> Iterator[Bench]:
    bench = Bench(mongodb_url, database_name)
    yield bench
    bench.close()


def test_whatever_comes_again_and_whoever_dies_it_is_told_once(bench: Bench) -> None:
    """Redelivery, older slices again, missing ones, two at once, an end at any call."""
    shared = [("bea", "share", 0), ("cem", "share", 1), *[("ana", "add", 1)] * 4]

    @settings(
        max_examples=by_tier(quick=25, ci=100, long=5_000),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(STEPS, DELIVERIES)
    @example(shared, [[(0, 0, 1_000, n, "kill", "after")] for n in range(1, 12)])
    @example(shared, [[(0, 0, 1_000, 8, "kill", "after"), (1, 0, 700, None, "kill", "after")]])
    @example(shared, [[(0, 0, 1_000, None, "kill", "after"), (1, 0, 700, None, "", "")]] * 3)
    @example(shared, [[(0, 500, 1_000, None, "kill", "after")], [(1, 0, 500, None, "", "")]])
    def check(steps: list[Step], plan: list[list[Delivery]]) -> None:
        bench.compare(steps, plan)

    check()


# What isn't as it should be


@pytest.fixture
async def stores(database: Database) -> Stores:
    await create_indexes(database)
    return Stores.of(database)


async def happened(stores: Stores, *steps: Step) -> History:
    history = History([("bea", "share", 0), *steps], secrets.token_hex(4))
    await history.write(stores.log)
    return history


async def counts(stores: Stores, history: History, user: str = "bea") -> Counter[str]:
    found = await stores.notifications.inbox(history.user(user))
    return Counter({one.kind: one.count for one in found.items})


async def test_what_is_missing_is_read_from_the_log(stores: Stores) -> None:
    """As when Kafka has dropped it, or a record is a dead letter, which is replayed later."""
    history = await happened(stores, *[("ana", "add", 0)] * 8)
    events = history.events()
    await notifier(stores).handle(events[:3])
    await notifier(stores).handle(events[7:])
    assert await counts(stores, history) == {"shared": 1, CHANGES: 8}
    await notifier(stores).handle(events[3:7])
    assert await counts(stores, history) == {"shared": 1, CHANGES: 8}


async def test_where_too_much_is_missing_the_snapshot_says_who_is_there(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.notifications.notifier.GAP_MAX", 4)
    history = await happened(stores, *[("ana", "add", 0)] * 8)
    members = [{"user": history.user(one), "role": "editor", "since": 1} for one in ("ana", "bea")]
    await stores.carts.save(
        {"_id": history.cart, "rev": 6, "name": "Feast", "members": members, "at": 1}
    )
    await notifier(stores).handle(history.events()[8:])
    (one,) = (await stores.notifications.inbox(history.user("bea"))).items
    assert (one.first_rev, one.last_rev, one.cart_name) == (7, 10, "Feast")


async def test_one_bad_op_of_a_cart_does_not_stop_those_after_it(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    history = await happened(stores, *[("ana", "add", 0)] * 3)
    del history.ops[2]["op"]["items"]
    events = history.events()
    given = CartEvents(history.cart, tuple(events), 1)
    sink = NotifierSink(notifier(stores))
    for _ in range(TRIES):
        with pytest.raises(SinkAwayError):
            await sink.deliver([given])
    assert await sink.deliver([given]) == {history.cart: 5}
    assert await counts(stores, history) == {"shared": 1, CHANGES: 2}
    assert f"{history.cart}:3" in {getattr(one, "event", None) for one in caplog.records}


@pytest.mark.parametrize("of_all_carts", [True, False])
async def test_what_comes_while_an_inbox_is_handed_over_goes_along(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, of_all_carts: bool
) -> None:
    history = await happened(stores, *[("ana", "add", 0)] * 4)
    guest, account = history.user("bea"), history.user("cem")
    events = history.events()
    await notifier(stores).handle(events[:3])
    change = Notifications.change

    async def late(self: Notifications, user: str, edit: Edit) -> tuple[Inbox, bool]:
        if user == account:
            await notifier(stores).handle(events[3:])
        return await change(self, user, edit)

    monkeypatch.setattr(Notifications, "change", late)
    cart = None if of_all_carts else history.cart
    inbox, changed = await stores.notifications.move(guest, account, cart)
    assert changed
    assert inbox == await stores.notifications.inbox(account)
    assert await counts(stores, history, "cem") == {"shared": 1, CHANGES: 4}
    assert await stores.notifications.inbox(guest) == Inbox(guest)


async def test_an_inbox_that_has_gone_is_not_taken_for_the_next_one(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions begin anew: who has read the one of before must not put that in its place."""
    notifications, replaced = stores.notifications, Notifications._replace
    guest, account = (f"usr_{secrets.token_hex(6)}" for _ in range(2))
    one, two, three = (a_notification(guest, f"crt_{number}") for number in (1, 2, 3))
    await notifications.change(guest, lambda inbox: [*inbox.items, one])
    handed_over: list[bool] = []

    async def late(self: Notifications, *args: Any) -> bool:
        if not handed_over:
            handed_over.append(True)
            await notifications.move(guest, account)
            await notifications.change(guest, lambda inbox: [*inbox.items, two])
        return await replaced(self, *args)

    monkeypatch.setattr(Notifications, "_replace", late)
    await notifications.change(guest, lambda inbox: [*inbox.items, three])
    left = await notifications.inbox(guest)
    assert {item.cart for item in left.items} == {two.cart, three.cart}


def a_notification(user: str, cart: str) -> Notification:
    return Notification(
        id=notification_id(user, cart, "usr_ana", CHANGES, 1),
        kind=CHANGES,
        cart=cart,
        cart_name="Picnic",
        actor="usr_ana",
        window=1,
        first_rev=1,
        last_rev=1,
        count=1,
        opened_at=NOW_MS,
        at=NOW_MS,
    )


@pytest.mark.parametrize("again", [True, False])
async def test_a_cart_muted_while_settings_are_handed_over_stays_so(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    settings, put = stores.settings, CartSettings._put
    guest, account = (f"usr_{secrets.token_hex(6)}" for _ in range(2))
    await settings.mute(guest, "crt_1", muted=True)
    await settings.mute(guest, "crt_2", muted=False)

    async def meanwhile(self: CartSettings, user: str, cart: str, change: dict[str, Any]) -> None:
        await put(self, user, cart, change)
        if user == account:
            await settings.mute(guest, "crt_2" if again else "crt_3", muted=True)

    monkeypatch.setattr(CartSettings, "_put", meanwhile)
    await settings.move(guest, account, 10)
    monkeypatch.undo()
    await settings.move(guest, account, 10)
    assert await settings.all_muted_by(account, 10) == ["crt_1", "crt_2" if again else "crt_3"]
    assert await settings.all_muted_by(guest, 10) == []


# Who is gone

ENDS = ["merge", "depart", "leave"]
"""How somebody leaves a cart who is nobody afterwards."""


async def ended(stores: Stores, how: str) -> History:
    """A cart in which ana has added something at rev 3, bea was gone at rev 4, and ana went on.

    Bea, a guest, is part of cem's account by now; or her account is deleted.
    """
    history = History([("bea", "share", 0), ("ana", "add", 0)], secrets.token_hex(4))
    bea, cem = history.user("bea"), history.user("cem")
    if how == "merge":
        history.add_op("bea", kind="merge", user=bea, into=cem)
    elif how == "depart":
        history.add_op("bea", kind="depart", user=bea)
    else:
        history.add_op("bea", kind="unshare", user=bea)
    for _ in range(2):
        history.add_op("ana", kind="clear")
    await history.write(stores.log)
    await go(stores.users, history, "bea", into="cem" if how == "merge" else None)
    return history


async def go(users: Users, history: History, name: str, into: str | None = None) -> None:
    """Have somebody become nobody: a guest who is part of an account, or a deleted account."""
    user, guest = history.user(name), into is not None
    email = None if guest else f"{user}@shop.example"
    await users.insert(User(user, email, name.title(), guest=guest), None)
    if into is not None:
        await users.begin_merge(user, history.user(into))
        await users.bury_guest(user)
    else:
        await users.begin_deletion(user, NOW_MS)
        await users.bury(user)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("store_is_away", [False, True])
async def test_who_is_late_leaves_nothing_with_somebody_of_whom_another_has_parted(
    stores: Stores, database: Database, how: str, store_is_away: bool
) -> None:
    history = await ended(stores, how)
    bea, events = history.user("bea"), history.events()
    late = replace(stores, notifications=Notifications(database), users=Users(database))
    change, going = late.notifications.change, late.users.going
    overtaken = iter([notifier(stores)])
    failures = iter([AutoReconnect("gone")] if store_is_away else [])

    async def change_late(user: str, edit: Edit) -> tuple[Inbox, bool]:
        for faster in overtaken:
            await faster.handle(events)
        return await change(user, edit)

    async def going_at_last(users: Any) -> Any:
        for failure in failures:
            raise failure
        return await going(users)

    late.notifications.change = change_late  # type: ignore[method-assign]
    late.users.going = going_at_last  # type: ignore[method-assign]
    its = notifier(late)
    if store_is_away:
        with pytest.raises(AutoReconnect):
            await its.handle(events[:3])
    await its.handle(events[:3])
    assert await stores.notifications.inbox(bea) == Inbox(bea)
    expected = {"shared": 1, CHANGES: 3} if how == "merge" else {}
    assert await counts(stores, history, "cem") == expected


@pytest.mark.parametrize("how", ENDS)
async def test_who_was_gone_when_it_was_to_be_told_is_left_with_nothing(
    stores: Stores, how: str
) -> None:
    """As when a notifier was away for long: of who has left no later event tells any more."""
    history = await ended(stores, how)
    bea, events = history.user("bea"), history.events()
    for part in (events[:3], events[3:]):
        await notifier(stores).handle(part)
    assert await stores.notifications.inbox(bea) == Inbox(bea)
    expected = {"shared": 1, CHANGES: 3} if how == "merge" else {}
    assert await counts(stores, history, "cem") == expected


async def test_a_guest_who_had_left_a_cart_is_told_of_it_as_an_account(stores: Stores) -> None:
    history = await happened(stores, ("ana", "add", 0), ("bea", "leave", 0))
    await go(stores.users, history, "bea", into="cem")
    await notifier(stores).handle(history.events())
    bea = history.user("bea")
    assert await stores.notifications.inbox(bea) == Inbox(bea)
    assert await counts(stores, history, "cem") == {"shared": 1, CHANGES: 1}


async def test_nothing_is_handed_over_to_an_account_that_is_gone_too(stores: Stores) -> None:
    history = await ended(stores, "merge")
    await go(stores.users, history, "cem")
    events = history.events()
    await notifier(stores).handle(events[:4])
    for user in map(history.user, ("bea", "cem")):
        assert await stores.notifications.inbox(user) == Inbox(user)


async def test_who_has_a_cart_again_begins_where_another_has_stopped(stores: Stores) -> None:
    """As after two shares of the group: what the other found seen is not told."""
    history = await happened(
        stores, *[("ana", "add", 0)] * 2, ("bea", "leave", 0), ("ana", "add", 0)
    )
    await stores.seen.note({history.cart: {history.user("bea"): 4}})
    events = history.events()
    first, other = notifier(stores), notifier(stores)
    await first.handle(events[:3])
    await other.handle(events[3:5])
    await first.handle(events[5:])
    assert await counts(stores, history) == {}


async def test_what_was_seen_is_known_until_who_saw_it_is_known_to_have_left(
    stores: Stores, database: Database
) -> None:
    history = await happened(stores, ("ana", "add", 0), ("bea", "leave", 0), ("ana", "add", 0))
    await stores.seen.note({history.cart: {history.user("bea"): 3}})
    seen: Any = FaultyCollection(Seen(database), Faults(2, "kill", "after"))
    with pytest.raises(KilledError):
        await notifier(replace(stores, seen=seen)).handle(history.events())
    await notifier(stores).handle(history.events())
    assert await counts(stores, history) == {}
    assert await stores.seen.of_cart(history.cart) == {}


async def test_who_was_let_in_again_is_not_told_of_what_they_saw_since(stores: Stores) -> None:
    history = await happened(
        stores, ("ana", "add", 0), ("bea", "leave", 0), ("bea", "share", 0), ("ana", "add", 0)
    )
    events, one = history.events(), notifier(stores)
    await stores.seen.note({history.cart: {history.user("bea"): len(events)}})
    await one.handle(events[:4])
    await one.handle(events[4:])
    assert await counts(stores, history) == {}


async def test_mails_hear_of_what_an_account_has_from_its_guest(stores: Stores) -> None:
    history = await ended(stores, "merge")
    pushed, cem = Pushed(), history.user("cem")
    await notifier(stores, pushed).handle(history.events()[:4])
    at_ms = NOW_MS + int(WINDOW_S * 1_000)
    notes = {(at, kind) for user, _, at, kind in pushed.notes if user == cem}
    assert notes == {(NOW_MS, "shared"), (at_ms, CHANGES)}


async def test_what_an_account_has_seen_before_it_comes_from_its_guest_is_read(
    stores: Stores,
) -> None:
    history = await ended(stores, "merge")
    await stores.seen.note({history.cart: {history.user("cem"): 4}})
    pushed = Pushed()
    await notifier(stores, pushed).handle(history.events()[:4])
    assert (await stores.notifications.inbox(history.user("cem"))).unread == 0
    assert history.user("cem") not in {user for user, *_ in pushed.notes}


async def test_what_is_told_while_a_mail_leaves_is_mailed_later(stores: Stores) -> None:
    history = await happened(stores, *[("ana", "add", 0)] * 2)
    bea, events, one = history.user("bea"), history.events(), notifier(stores)
    await one.handle(events[:3])
    mailed = (await stores.notifications.inbox(bea)).items
    await one.handle(events[3:])
    await stores.notifications.mark_mailed(bea, mailed)
    marked = {it.kind: it.mailed for it in (await stores.notifications.inbox(bea)).items}
    assert marked == {"shared": True, CHANGES: False}


async def test_mails_hear_of_what_is_unread_until_the_events_are_done(
    stores: Stores, database: Database
) -> None:
    """With the time at which nothing more is added; again, if the notifier ended before that."""
    history = await happened(stores, ("ana", "add", 1), ("ana", "add", 1))
    pushed = Pushed()
    for how in ("kill", "away"):
        audiences = Audiences(FaultyDatabase(database, Faults(2, how)))  # type: ignore[arg-type]
        failing = notifier(replace(stores, audiences=audiences), pushed)
        with pytest.raises((KilledError, AutoReconnect)):
            await failing.handle(history.events())
    await notifier(stores, pushed).handle(history.events())
    await notifier(stores, pushed).handle(history.events())
    shared, changes = sorted(set(pushed.notes), key=lambda note: note[3], reverse=True)
    assert Counter(pushed.notes) == {shared: 3, changes: 3}
    assert (shared[2:], changes[2:]) == (
        (NOW_MS, "shared"),
        (NOW_MS + 1_000 + int(WINDOW_S * 1_000), CHANGES),
    )
