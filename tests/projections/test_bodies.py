from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from domain.events import CATALOGUE
from domain.fields import ORDER
from projections.bodies import read_span, read_thing, read_tie, read_unnamed, spell_tie, write_thing, write_tie

FIELDS = st.lists(st.sampled_from([name for name in ORDER if name not in ("name", "status")]), unique=True).map(
    lambda names: sorted(names, key=ORDER.__getitem__)
)
TYPES = tuple(CATALOGUE)
DATES = st.none() | st.sampled_from(["2024", "2024-02-03", "2021?-08-18"])
POSITIONS = st.lists(st.integers(1, 99), min_size=1, max_size=3, unique=True).map(sorted)
STEPS = st.tuples(st.integers(0, len(TYPES) - 1), DATES, POSITIONS) | st.tuples(
    st.integers(0, len(TYPES) - 1), DATES, POSITIONS, st.just({"instrument": "succession"})
)
MORE = st.fixed_dictionaries(
    {}, optional={"role": st.text(), "category": st.text(), "from": DATES, "to": DATES, "whole": POSITIONS}
)


@given(FIELDS, FIELDS, st.data())
def test_a_things_fields_and_what_bears_them_are_read_as_they_were_written(said, borne, data):
    fields = {name: f"some {name}" for name in said}
    bearing = {name: data.draw(st.sampled_from([(1,), (1, 4), (5,)])) for name in [*borne, "status"]}
    stored, name = write_thing(fields, bearing), orjson.dumps(fields.get("title"))
    read, bears = read_thing(stored, "title", name)
    assert list(read.items()) == list(fields.items())
    assert list(bears.items()) == [(name, list(positions)) for name, positions in bearing.items()]
    fields.pop("title", None)
    assert read_unnamed(stored)[0] == fields


@given(st.lists(STEPS, min_size=1, max_size=4), MORE)
def test_a_tie_is_read_and_spelled_out_alike(steps, more):
    stored = write_tie(steps, more)
    read, spelled = read_tie(stored), spell_tie(stored)
    assert {name: read[name] for name in ("category", "from", "to")} == {
        name: spelled.get(name) for name in ("category", "from", "to")
    }
    assert read.get("role") == spelled.get("role")
    assert [(step["type"], step["occurred"], step["events"], step.get("instrument")) for step in read["steps"]] == [
        (kind, occurred, events, more[0]["instrument"] if more else None)
        for kind, occurred, events, *more in spelled["steps"]
    ]
    bearing = {position for step in read["steps"] for position in step["events"]} | set(more.get("whole", ()))
    assert read["events"] == sorted(bearing)
    assert spelled.get("events", read["events"]) == read["events"]
    assert read_span(stored) == {name: read[name] for name in ("from", "to", "events")}


def test_a_tie_begins_with_its_first_step_unless_something_else_is_said():
    step = [TYPES.index("agreement.signed"), "2024-02-03", [7]]
    assert read_tie(write_tie([step], {}))["from"] == "2024-02-03"
    assert read_tie(write_tie([step], {"from": None}))["from"] is None
    assert "from" not in spell_tie(write_tie([step], {"from": None}))
