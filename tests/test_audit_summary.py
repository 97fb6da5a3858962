"""A batch has a summary exactly if each of its events passes, whatever the bytes of the events are."""

from __future__ import annotations

from contextlib import closing
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.corrections import Event
from domain.merkle import leaf_hash
from service.audit.event_checks import Entries, compared, flaws
from service.audit.event_rows import Row, answered, stored
from service.audit.order import Order
from service.audit.order_state import OrderState
from service.audit.report import Check, Finding
from service.audit.summary import Batch, Wanted, summarize
from service.commands.log_entry import answered as answer
from service.commands.log_entry import logged
from service.event_log import LoggedEvent

RECORDED = "2026-01-31T09:30:00.12345%dZ"
STRANGE = ("", "a", '"', "\\", 'a","x":"b', "\n", "\x7f", "城", "\u2028", "e" * 300, "x" * 1024, "é" * 600)
FIELDS = ("actor", "id", "occurred", "position", "recorded", "source", "subject", "time", "type", "v", "version")


def event(position: int = 1, **more: Any) -> LoggedEvent:
    """Return a well-formed event, the first of its subject, with the given fields."""
    made = Event(
        position,
        1,
        f"parties/p-{position}",
        "party.registered",
        "source",
        f"id {position}",
        None,
        "2020-03",
        b'{"kind":"company","name":"One"}',
        RECORDED % position,
        "tester",
    )
    return logged(made._replace(**more))


def row_of(found: LoggedEvent) -> Row:
    """Return the row of an event in the log's table."""
    named = {"id": "event_id"}
    return stored([tuple(getattr(found, named.get(name, name)) for name in Row._fields[:11])])[0]


def batch_of(rows: list[Row]) -> Batch:
    """Return a batch of events with its summary, if it has one."""
    return Batch(summarize(rows, Wanted(evidence=True, rules=True)), rows.copy)


def of_order(batch: Batch) -> list[Finding]:
    """Return the findings in the order of events."""
    order = Check("order")
    with TemporaryDirectory() as folder, closing(OrderState(Path(folder))) as state:
        Order(order, state).take(batch)
    return order.findings


def one_by_one(rows: list[Row]) -> tuple[list[Finding], list[Row]]:
    """Return the findings of each event by itself, and the events without findings."""
    found = [compared(row) for row in rows]
    assert [flaws(row) for row in rows] == found, "the fast path passes an event that fails"
    return [each for some in found for each in some], [row for row, some in zip(rows, found, strict=True) if not some]


def agree(*rows: Row) -> list[Finding]:
    """Return the findings of events, after comparing the batch with its events one by one."""
    check, batch = Check("of each"), batch_of([*rows])
    found, fitting = one_by_one([*rows])
    assert Entries(check, check).take(rows) == fitting
    places = {(each.position, each.field): each for each in reversed(found)}  # a check has one finding for a field
    assert sorted(check.findings, key=str) == sorted(places.values(), key=str)
    in_order = of_order(Batch(None, [*rows].copy))
    if batch.summary is None:
        assert found or in_order
    else:
        assert not found
        assert of_order(batch) == in_order
        assert batch.leaves(0, len(rows)) == [leaf_hash(row.entry) for row in rows]
    return found or in_order


@pytest.mark.parametrize("strange", STRANGE[1:-2])
@pytest.mark.parametrize("name", ["id", "source", "actor"])
def test_texts_that_posts_may_hold_pass(name, strange):
    made = event(2, **{name: strange}, time="2020-01-01T00:00:00Z", occurred=None)
    rows = [row_of(event(1)), row_of(made), row_of(event(3))]
    assert batch_of(rows).summary is not None
    assert agree(*rows) == []
    assert agree(*(answered(answer(each)) for each in (event(1), made, event(3)))) == []


def test_events_that_pass_have_a_summary():
    for rows in (
        [row_of(event(position)) for position in range(1, 9)],
        [answered(answer(event(position))) for position in range(1, 9)],
    ):
        batch = batch_of(rows)
        assert batch.summary is not None
        assert batch.summary.are_valid
        assert of_order(batch) == []


def test_id_with_quotes_adds_no_field_to_an_entry():
    made, name = event(2), 'a","more":"b'
    entry = made.entry.replace(b'"id":"id 2"', f'"id":"{name}"'.encode())
    (finding, *_) = agree(row_of(event(1)), row_of(made)._replace(id=name, entry=entry), row_of(event(3)))
    assert (finding.position, finding.field) == (2, "id")


@given(
    st.sampled_from(FIELDS),
    st.one_of(st.sampled_from(STRANGE), st.none(), st.booleans(), st.integers(-1, 3), st.just(1.0), st.text()),
    st.booleans(),
)
def test_changed_field_of_an_entry_fails_in_a_batch_as_alone(name, value, is_beside):
    """The field is changed in the entry alone, or also beside it."""
    made = event(2)
    entry = orjson.dumps({**orjson.loads(made.entry), name: value}, option=orjson.OPT_SORT_KEYS)
    changed = row_of(made)._replace(entry=entry)
    if is_beside and name in Row._fields:
        changed = changed._replace(**{name: value})
    agree(row_of(event(1)), changed, row_of(event(3)))
    said = orjson.loads(answer(made))
    said |= {"entry": entry.decode()} | ({name: value} if is_beside else {})
    agree(answered(answer(event(1))), answered(orjson.dumps(said)), answered(answer(event(3))))


@given(st.binary(max_size=40), st.sampled_from(("entry", "data", "salt")), st.booleans())
def test_changed_bytes_fail_in_a_batch_as_alone(content, name, is_put_in):
    made = event(2)
    kept = getattr(made, name)
    content = kept[:9] + content + kept[9:] if is_put_in else content
    agree(row_of(event(1)), row_of(made)._replace(**{name: content}), row_of(event(3)))


@given(st.binary(max_size=9), st.binary(max_size=20))
def test_erased_event_passes_only_without_data_and_salt(salt, digest):
    made = event(2)
    assert agree(row_of(event(1)), row_of(made)._replace(data=b"", salt=b""), row_of(event(3))) == []
    agree(row_of(event(1)), row_of(made)._replace(data=b"", salt=salt), row_of(event(3)))
    entry = made.entry.replace(sha256(made.salt + made.data).hexdigest().encode(), digest)
    assert agree(row_of(event(1)), row_of(made)._replace(data=b"", salt=b"", entry=entry), row_of(event(3)))
