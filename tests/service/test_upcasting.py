"""Upcasting: data that was recorded in an earlier version of the shape of its type is read in today's version.

Stored bytes stay as stored. `party.renamed` serves as the example: as if its version 1 had `title` instead of `name`.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import orjson
import pytest

from domain.catalogue import CATALOGUE
from domain.cloudevent import canonical, parse
from domain.corrections import Event
from domain.edtf import parse_day
from projections.engine.query_types import TimeSlice
from projections.reader import Reader
from projections.views import Views
from service.audit import event_rows
from service.audit.event_checks import invalid
from service.commands.decisions import Batch, Decisions
from service.commands.log_entry import answered, event_of, logged
from service.event_log import Log
from service.exported import ExportedLines
from service.views.follower import catch_up
from tests.recorded_views import corrected, party

KIND = CATALOGUE["party.renamed"]


def named(data: dict[str, Any]) -> dict[str, Any]:
    """Return data of version 1 in version 2: the name is no longer called title."""
    return {"name" if key == "title" else key: value for key, value in data.items()}


@pytest.fixture
def with_two_versions(monkeypatch):
    """Give the type a second version of its shape."""
    monkeypatch.setitem(CATALOGUE, KIND.name, replace(KIND, upcasters=(named,)))


def event(position: int, type_: str, data: dict[str, Any]) -> Event:
    recorded = f"2026-01-01T00:00:00.{position:06}Z"
    encoded = canonical(data)
    return Event(position, position, "parties/a", type_, "s", f"e{position}", None, None, encoded, recorded, "tester")


REGISTERED = logged(event(1, "party.registered", party("a")["data"]))
RENAMED = logged(event(2, "party.renamed", {"title": "Old"}))
CORRECTED = logged(event(3, "event.corrected", corrected("parties/a", 2, data={"title": "Corrected"})["data"]))


def test_upcasters_lead_through_every_version():
    kind = replace(KIND, upcasters=(named, lambda data: {"note": "renamed", **data}))
    assert kind.shape == 3
    assert kind.upcast({"title": "x"}, 1) == {"name": "x", "note": "renamed"}
    assert kind.upcast({"name": "x"}, 2) == {"name": "x", "note": "renamed"}
    assert kind.upcast({"name": "x"}, 3) == {"name": "x"}


@pytest.mark.usefixtures("with_two_versions")
def test_event_of_an_earlier_version_is_read_in_todays_version():
    assert event_of(RENAMED).data == b'{"name":"Old"}'
    assert orjson.loads(logged(event(3, "party.renamed", {"name": "New"})).entry)["v"] == 2


@pytest.mark.usefixtures("with_two_versions")
def test_event_of_an_earlier_version_is_answered_and_hashed_as_stored():
    answer = orjson.loads(answered(RENAMED))
    assert answer["data"] == {"title": "Old"}
    assert answer["entry"].encode() == RENAMED.entry


@pytest.mark.usefixtures("with_two_versions")
def test_data_of_an_earlier_version_passes_an_audit():
    assert invalid(event_rows.answered(answered(RENAMED))) is None


@pytest.mark.usefixtures("with_two_versions")
@pytest.mark.parametrize(
    ("stored", "name"), [((REGISTERED, RENAMED), "Old"), ((REGISTERED, RENAMED, CORRECTED), "Corrected")]
)
def test_views_show_data_of_an_earlier_version(tmp_path, stored, name):
    path = tmp_path / "views"
    with closing(Log(tmp_path / "log")) as log, closing(Views(path)) as views:
        log.insert_events(stored)
        catch_up(log, views)
        with closing(Reader(path)) as reader:
            assert reader.state("parties/a", TimeSlice(len(stored), parse_day("2026-06-01"))).body["name"] == name


@pytest.mark.usefixtures("with_two_versions")
def test_exported_event_of_an_earlier_version_is_imported_in_todays_version(tmp_path):
    line = orjson.loads(answered(RENAMED))
    with closing(Log(tmp_path / "log")) as log, closing(Views(tmp_path / "views")) as views:
        views.begin()
        decisions = Decisions(log, views, "2026-01-01T00:00:00.000000Z")
        decisions.decide(Batch((parse({"specversion": "1.0", "id": "1", "source": "s", **party("a")}),), "me", 1))
        first = ExportedLines().read(line, decisions.pending.find, "me", 1, may_erase=True)
        assert first.batch.events[0].data == b'{"name":"Old"}'
        (receipt,) = decisions.decide(first.batch)
        again = ExportedLines().read(line, decisions.pending.find, "me", 1, may_erase=True)
        (repeat,) = decisions.decide(again.batch)
        assert (repeat.body, repeat.is_new) == (receipt.body, False)
