"""When a mail about changes is due, held against the clocks of all time zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from commerce.notifying.schedule import (
    DAY_MINUTES,
    MINUTE_MS,
    Preferences,
    Wanted,
    after_quiet,
    due_at,
    is_quiet,
    minutes_of,
    next_digest,
    preferences_of,
)
from commerce.notifying.zones import zone_of
from storage.users import User

DAY_MS = DAY_MINUTES * MINUTE_MS
# Clocks that change by an hour, by half of one, far from midnight and at it, and not at all.
TROUBLESOME = (
    *("UTC", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"),
    *("Asia/Kathmandu", "Asia/Beirut", "America/Asuncion", "Pacific/Chatham", "Pacific/Apia"),
)
ZONES = st.one_of(st.sampled_from(TROUBLESOME), st.sampled_from(sorted(available_timezones()))).map(
    ZoneInfo
)
TIMES = st.integers(0, DAY_MINUTES - 1)
MOMENTS = st.integers(at := 1_577_836_800_000, at + 20 * 365 * DAY_MS)  # from 2020 on
QUIET = st.tuples(TIMES, TIMES).filter(lambda hours: hours[0] != hours[1])


def ms(text: str) -> int:
    """A moment in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def wall(zone: ZoneInfo, at_ms: int) -> datetime:
    """What clocks there show, without any time zone."""
    return datetime.fromtimestamp(at_ms / 1000, zone).replace(tzinfo=None)


def wants(
    changes: Wanted = "digest",
    zone: str = "Europe/Vienna",
    digest_at: str = "08:00",
    quiet: tuple[str, str] | None = None,
) -> Preferences:
    hours = None if quiet is None else (minutes_of(quiet[0]), minutes_of(quiet[1]))
    return Preferences(changes, ZoneInfo(zone), minutes_of(digest_at), hours)


def shows(zone: ZoneInfo, at_ms: int, minutes: int) -> bool:
    there = wall(zone, at_ms)
    return there.hour * 60 + there.minute == minutes


def clocks_change(zone: ZoneInfo, near_ms: int) -> bool:
    """Whether clocks there change within a day and a half of this moment."""
    around = (datetime.fromtimestamp(near_ms / 1000, UTC) + timedelta(days=d) for d in (-1.5, 1.5))
    hours = {moment.astimezone(zone).utcoffset() for moment in around}
    now = datetime.fromtimestamp(near_ms / 1000, zone).utcoffset()
    return hours != {now}


@examples(deadline=None, max_examples=300)
@given(zone=ZONES, digest_at=TIMES, since=MOMENTS)
def test_a_digest_comes_once_a_day_when_clocks_show_its_time(
    zone: ZoneInfo, digest_at: int, since: int
) -> None:
    preferences = Preferences("digest", zone, digest_at)
    due = next_digest(preferences, since)
    assert since <= due < since + 2 * DAY_MS
    assert next_digest(preferences, due) == due
    if clocks_change(zone, due) or clocks_change(zone, since):
        return  # the next test's
    assert shows(zone, due, digest_at)
    assert due < since + DAY_MS
    assert next_digest(preferences, due + 1) - due == DAY_MS or clocks_change(zone, due + DAY_MS)


@examples(deadline=None, max_examples=50)
@given(zone=ZONES, digest_at=TIMES, year=st.integers(2020, 2037))
@example(zone=ZoneInfo("Europe/Vienna"), digest_at=2 * 60 + 30, year=2026)
@example(zone=ZoneInfo("Australia/Lord_Howe"), digest_at=2 * 60 + 15, year=2026)
@example(zone=ZoneInfo("America/Nuuk"), digest_at=23 * 60 + 30, year=2026)
def test_over_a_year_there_is_one_digest_for_each_date(
    zone: ZoneInfo, digest_at: int, year: int
) -> None:
    """Also when clocks change: none is earlier than asked for, and none much later."""
    preferences = Preferences("digest", zone, digest_at)
    at = next_digest(preferences, ms(f"{year}-01-02T00:00"))
    dates = []
    for _ in range(360):
        there = wall(zone, at)
        late = (there.hour * 60 + there.minute - digest_at) % DAY_MINUTES
        assert late <= 180  # what clocks jump over: half an hour, an hour, or where a zone moves
        dates.append((there - timedelta(minutes=late)).date())
        at = next_digest(preferences, at + 1)
    assert dates == [dates[0] + timedelta(days=day) for day in range(360)]


@pytest.mark.parametrize(
    ("digest_at", "since", "due"),
    [
        # In Vienna clocks jump from 02:00 to 03:00 on 2026-03-29 at 01:00 UTC.
        ("02:30", "2026-03-28T12:00", "2026-03-29T01:30"),
        ("02:30", "2026-03-29T01:31", "2026-03-30T00:30"),
        ("08:00", "2026-03-28T12:00", "2026-03-29T06:00"),
        ("08:00", "2026-03-28T06:00", "2026-03-28T07:00"),
        # They go back from 03:00 to 02:00 on 2026-10-25 at 01:00 UTC.
        ("02:30", "2026-10-24T12:00", "2026-10-25T00:30"),
        ("02:30", "2026-10-25T00:31", "2026-10-26T01:30"),
        ("00:00", "2026-10-24T22:00", "2026-10-24T22:00"),
    ],
)
def test_a_digest_on_days_when_clocks_change(digest_at: str, since: str, due: str) -> None:
    assert next_digest(wants(digest_at=digest_at), ms(since)) == ms(due)


def test_a_digest_that_clocks_put_off_to_the_next_date_is_not_missed_there() -> None:
    """In Nuuk clocks jump from 23:00 to midnight on 2026-03-28, at 01:00 UTC."""
    late = wants(zone="America/Nuuk", digest_at="23:30")
    assert next_digest(late, ms("2026-03-29T01:10")) == ms("2026-03-29T01:30")
    assert next_digest(late, ms("2026-03-29T01:31")) == ms("2026-03-30T00:30")


@examples(deadline=None, max_examples=200)
@given(zone=ZONES, quiet=QUIET, at=MOMENTS)
def test_quiet_hours_end_when_clocks_first_show_another_time(
    zone: ZoneInfo, quiet: tuple[int, int], at: int
) -> None:
    preferences = Preferences("at_once", zone, 0, quiet)
    begin, end = quiet

    def in_hours(moment: int) -> bool:
        there = wall(zone, moment)
        now = there.hour * 60 + there.minute
        return begin <= now < end if begin < end else now >= begin or now < end

    free = after_quiet(preferences, at)
    assert not in_hours(free)
    assert free >= at
    assert (free == at) is (not in_hours(at))
    if free > at:
        assert free % MINUTE_MS == 0
        assert all(in_hours(moment) for moment in (*range(at, free, 7 * MINUTE_MS), free - 1))
    for moment in (at, free):
        assert is_quiet(preferences, moment) is in_hours(moment)


@pytest.mark.parametrize(
    ("quiet", "at", "free"),
    [
        (("22:00", "07:00"), "2026-06-01T19:59", "2026-06-01T19:59"),  # 21:59 there
        (("22:00", "07:00"), "2026-06-01T20:00", "2026-06-02T05:00"),
        (("22:00", "07:00"), "2026-06-02T04:59", "2026-06-02T05:00"),
        (("22:00", "07:00"), "2026-06-02T05:00", "2026-06-02T05:00"),
        (("13:00", "15:00"), "2026-06-02T11:30", "2026-06-02T13:00"),
        # A night of 8 hours, and one of 10.
        (("22:00", "07:00"), "2026-03-28T21:00", "2026-03-29T05:00"),
        (("22:00", "07:00"), "2026-10-24T20:00", "2026-10-25T06:00"),
        # They end within the hour that there isn't, or that there is twice.
        (("22:00", "02:30"), "2026-03-28T22:00", "2026-03-29T01:00"),
        (("22:00", "02:30"), "2026-10-24T21:00", "2026-10-25T00:30"),
        (("22:00", "02:30"), "2026-10-25T01:10", "2026-10-25T01:30"),
    ],
)
def test_quiet_hours_in_vienna(quiet: tuple[str, str], at: str, free: str) -> None:
    assert after_quiet(wants("at_once", quiet=quiet), ms(at)) == ms(free)


@examples(deadline=None)
@given(
    zone=ZONES,
    changes=st.sampled_from(("none", "digest", "at_once")),
    digest_at=TIMES,
    quiet=st.none() | QUIET,
    ready=MOMENTS,
    later=st.integers(0, 3 * DAY_MS),
)
def test_what_is_ready_later_is_not_due_earlier_and_nothing_is_due_in_quiet_hours(
    zone: ZoneInfo,
    changes: Wanted,
    digest_at: int,
    quiet: tuple[int, int] | None,
    ready: int,
    later: int,
) -> None:
    preferences = Preferences(changes, zone, digest_at, quiet)
    due, then = due_at(preferences, ready), due_at(preferences, ready + later)
    if due is None or then is None:
        assert changes == "none"
        return
    assert ready <= due <= then
    assert not is_quiet(preferences, due)
    assert due <= ready + (4 if changes == "digest" else 2) * DAY_MS
    if changes == "at_once" and quiet is None:
        assert due == ready


def test_a_digest_within_the_quiet_hours_comes_at_their_end() -> None:
    preferences = wants(digest_at="23:00", quiet=("22:00", "07:00"))
    assert due_at(preferences, ms("2026-06-01T12:00")) == ms("2026-06-02T05:00")


def test_a_user_without_choices_gets_a_digest_at_eight_in_utc() -> None:
    preferences = preferences_of(User("usr_a", "ada@shop.example", "Ada"))
    assert due_at(preferences, ms("2026-06-01T12:00")) == ms("2026-06-02T08:00")
    chosen = User(
        *("usr_a", "ada@shop.example", "Ada"),
        notifications={"changes": "at_once"},
        time_zone="Asia/Tokyo",
        quiet_hours={"from": "20:00", "to": "21:00"},
    )
    assert due_at(preferences_of(chosen), ms("2026-06-01T11:15")) == ms("2026-06-01T12:00")
    later = User("usr_a", "ada@shop.example", "Ada", notifications={"changes": "weekly"})
    assert due_at(preferences_of(later), ms("2026-06-01T12:00")) is None


def test_a_zone_that_nobody_knows_is_taken_as_utc(caplog: pytest.LogCaptureFixture) -> None:
    assert zone_of("Mars/Olympus_Mons") == ZoneInfo("UTC")
    assert "No such time zone" in caplog.text
