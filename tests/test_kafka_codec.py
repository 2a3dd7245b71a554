"""Events as Kafka records, read by the CloudEvents library and by ourselves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from events.event import Event
from events.kafka.codec import Encoder, NotAnEventError, decode

NO_VALUE = object()
"""In the place of a header's value: it is there without one, as Kafka allows."""
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=10,
)
events = st.builds(
    Event,
    id=text,
    type=st.sampled_from(["cartroom.cart.add", "cartroom.product.changed"]),
    subject=text,
    key=text,
    sequence=st.integers(0, 2**53),
    time_ms=st.integers(0, 4_102_444_800_000),
    data=st.dictionaries(text, json_values, max_size=5),
)


@given(events)
def test_what_is_written_is_read(event):
    record = Encoder("/cartroom").encode(event)
    assert decode(record.value, record.headers) == event


@given(events)
def test_the_cloudevents_library_reads_the_same(event):
    record = Encoder("/shop/eu", "https://shop.example/api/events/").encode(event)
    assert len(dict(record.headers)) == len(record.headers)
    message = KafkaMessage(dict(record.headers), record.key, record.value)
    read = from_kafka(message, JSONFormat())
    assert read.get_specversion() == "1.0"
    assert (read.get_id(), read.get_source()) == (event.id, "/shop/eu")
    assert (read.get_type(), read.get_subject()) == (event.type, event.subject)
    assert read.get_time() == datetime.fromtimestamp(event.time_ms // 1_000, UTC).replace(
        microsecond=event.time_ms % 1_000 * 1_000
    )
    assert read.get_datacontenttype() == "application/json"
    assert read.get_dataschema() == f"https://shop.example/api/events/{event.type}.json"
    assert read.get_extension("partitionkey") == event.key
    assert int(read.get_extension("sequence")) == event.sequence
    assert read.get_data() == event.data


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_sequences_are_in_order_as_text(one, other):
    def sequence(number):
        event = Event("i", "cartroom.cart.add", "crt_a", "crt_a", number, 0, {})
        return dict(Encoder("/cartroom").encode(event).headers)["ce_sequence"].decode()

    assert (sequence(one) < sequence(other)) == (one < other)


def test_without_an_address_no_schema_is_named():
    event = Event("i", "cartroom.cart.add", "crt_a", "crt_a", 1, 0, {})
    assert "ce_dataschema" not in dict(Encoder("/cartroom").encode(event).headers)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ce_specversion": b"0.3"}, "not CloudEvents 1.0: 0.3"),
        ({"ce_specversion": None}, "not CloudEvents 1.0: nothing"),
        ({"ce_id": None}, "without the header ce_id"),
        ({"ce_partitionkey": None}, "without the header ce_partitionkey"),
        ({"ce_sequence": NO_VALUE}, "without the header ce_sequence"),
        ({"ce_type": b"\xff"}, "can't be read"),
        ({"ce_sequence": b"seven"}, "a header can't be read"),
        ({"ce_time": b"yesterday"}, "a header can't be read"),
        ({"ce_time": b"2026-11-21T10:00:00"}, "a time without a zone"),
        ({"value": b"{"}, "can't be read"),
        ({"value": b"[]"}, "the data is no JSON object"),
        ({"value": None}, "can't be read"),
    ],
)
def test_what_is_no_event_is_told(changes, reason):
    event = Event("i", "cartroom.cart.add", "crt_a", "crt_a", 1, 0, {})
    record = Encoder("/cartroom").encode(event)
    given = {"value": record.value, **dict(record.headers), **changes}
    value = given.pop("value")
    headers = [
        (name, None if held is NO_VALUE else held)
        for name, held in given.items()
        if held is not None
    ]
    with pytest.raises(NotAnEventError, match=reason):
        decode(value, headers)
