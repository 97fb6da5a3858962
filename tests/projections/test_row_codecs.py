from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from domain.attributes import ORDER
from domain.catalogue import CATALOGUE
from domain.corrections import Fact
from domain.edtf import span_of
from projections.engine.row_codecs import (
    canonical_membership,
    decode_membership,
    decode_membership_span,
    decode_subject_state,
    decode_unnamed_state,
    encode_membership,
    encode_subject_state,
)

FIELDS = st.lists(st.sampled_from([name for name in ORDER if name not in ("name", "status")]), unique=True).map(
    lambda names: sorted(names, key=ORDER.__getitem__)
)
DATES = st.sampled_from([None, "2024", "2024-02-03", "2021?-08-18"])
TOLD = st.tuples(st.sampled_from([None, "approval", "2025-01"]), DATES, st.sampled_from([(), (1,), (3, 4)]))


def fact(at, given, occurred, more):
    kind = "agreement.withdrawn" if given == "2025-01" else "agreement.ratified"
    data = {"party": "parties/p"}
    if given is not None:
        data["effective" if given == "2025-01" else "instrument"] = given
    model = CATALOGUE[kind].data.model_validate(data)
    positions = (at, *(at + each for each in more))
    return Fact(
        at, "agreements/a", kind, "s", f"e{at}", occurred, span_of(occurred), span_of(occurred).hi, model, positions
    )


FACTS = st.lists(TOLD, min_size=1, max_size=4).map(
    lambda drawn: [fact(10 * at, *each) for at, each in enumerate(drawn, 1)]
)


@given(FIELDS, FIELDS, st.data())
def test_subject_state_and_provenance_are_decoded_as_encoded(given, sources, data):
    fields = {name: f"some {name}" for name in given}
    provenance = {name: data.draw(st.sampled_from([(1,), (1, 4), (5,)])) for name in [*sources, "status"]}
    stored, name = encode_subject_state(fields, provenance), orjson.dumps(fields.get("title"))
    read, bears = decode_subject_state(stored, "title", name)
    assert list(read.items()) == list(fields.items())
    assert list(bears.items()) == [(name, list(positions)) for name, positions in provenance.items()]
    fields.pop("title", None)
    assert decode_unnamed_state(stored)[0] == fields


@given(FACTS, st.lists(TOLD, max_size=2), st.data())
def test_membership_is_decoded_as_its_facts_say(steps, others, data):
    whole = [fact(100 * at, *each) for at, each in enumerate(others, 1)]
    opened, closed = (data.draw(st.sampled_from([None, *steps, *whole])) for _ in range(2))
    category, role = (data.draw(st.sampled_from([None, "guest"])) for _ in range(2))
    stored = encode_membership(steps, whole, opened, closed, category)
    read, spelled = (
        decode_membership(stored),
        canonical_membership(stored, None if role is None else orjson.dumps(role)),
    )

    assert read["from"] == ((getattr(opened.data, "effective", None) or opened.occurred) if opened else None)
    assert read["to"] == ((getattr(closed.data, "effective", None) or closed.occurred) if closed else None)
    assert read["events"] == sorted({position for each in (*steps, *whole) for position in each.positions})
    assert [(step["type"], step["occurred"], tuple(step["events"])) for step in read["steps"]] == [
        (each.type, each.occurred, each.positions) for each in steps
    ]
    assert [step.get("instrument") or step.get("effective") for step in read["steps"]] == [
        getattr(each.data, "instrument", None) or getattr(each.data, "effective", None) for each in steps
    ]
    assert decode_membership_span(stored) == {name: read[name] for name in ("from", "to", "events")}

    given = {"role": role, "category": category, "from": read["from"], "to": read["to"]}
    assert {name: spelled.pop(name, None) for name in given} == given
    assert read["category"] == category
    assert spelled.pop("events", None) == (read["events"] if whole else None)
    assert [step[:3] for step in spelled.pop("steps")] == [
        [each.type, each.occurred, list(each.positions)] for each in steps
    ]
    assert not spelled
