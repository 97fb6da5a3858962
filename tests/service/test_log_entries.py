"""Log entries and receipts: their bytes never change."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace

import orjson
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from domain.corrections import Event
from domain.merkle import leaf_hash
from service.commands.log_entry import answered, event_of, logged, receipt

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40) | st.sampled_from(
    (
        ',"data_sha256":"',
        ',"v":1,"version":2}',
        "a,",
        '"',
        "\\",
        '\\"',
        "\n",
        "\x1f\x7f\u2028",
    )  # what looks like an entry
)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcABC_-09", max_size=5), inner, max_size=4),
    max_leaves=12,
)
events = st.builds(
    Event,
    position=st.integers(1, 2**53 - 1),
    version=st.integers(1, 2**53 - 1),
    subject=st.just("parties/catl"),
    type=st.sampled_from(("party.registered", "event.retracted")),
    source=texts,
    id=texts,
    time=st.none() | st.just("2026-01-01T00:00:00Z"),
    occurred=st.none() | st.just("2024-01~"),
    data=st.dictionaries(st.text("abc", max_size=3), json, max_size=4).map(rfc8785.dumps),
    recorded=st.just("2026-01-31T09:30:00.123456Z"),
    actor=texts,
    erased=st.just(value=False),
    checked=st.none(),
)


@given(events)
def test_an_entry_is_in_the_form_of_rfc_8785(event):
    entry = logged(event).entry
    assert entry == rfc8785.dumps(orjson.loads(entry))


@given(events)
def test_event_is_read_from_the_log_unchanged(event):
    assert event_of(logged(event)) == event


@given(events)
def test_answered_event_has_the_posted_fields_and_their_proof(event):
    stored = logged(event)
    item = orjson.loads(answered(stored))
    assert item["entry"].encode() == stored.entry
    assert b64decode(item["salt"]) == stored.salt
    assert item["data"] == orjson.loads(event.data)
    for name in ("position", "version", "subject", "type", "source", "id", "recorded", "actor"):
        assert item[name] == getattr(event, name)
    for name in ("time", "occurred"):
        assert item.get(name) == getattr(event, name)
        assert (name in item) == (getattr(event, name) is not None)
    entry = orjson.loads(stored.entry)
    assert set(item) == set(entry) - {"data_sha256", "v"} | {"data", "entry", "salt"}
    assert all(item[name] == entry[name] for name in set(item) & set(entry))


@given(events)
def test_receipt_is_derived_from_the_entry_alone(event):
    stored = logged(event)
    erased = replace(stored, data=b"", salt=b"")
    assert receipt(erased, is_new=False).body == receipt(stored, is_new=True).body
    assert orjson.loads(receipt(stored, is_new=True).body)["leaf"] == b64encode(leaf_hash(stored.entry)).decode()


def test_salts_are_never_the_same():
    event = Event(
        1, 1, "parties/a", "party.registered", "s", "i", None, None, b"{}", "2026-01-31T09:30:00.123456Z", "a"
    )
    assert len({logged(event).salt for _ in range(100)}) == 100
