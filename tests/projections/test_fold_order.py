"""The same facts give the same answers in any order of recording, corrections and retractions.

Positions, versions and counts of events are left out; events in answers are compared by their ids.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.errors import Refused
from tests.random_histories import GENERATED, difference, everything, histories, posted
from tests.recorded_views import RecordedViews, new_views, retracted

REMARKS = ("event.corrected", "event.retracted", "event.disputed", "evidence.added")
NAMING = ("event", "about")
"""The fields that name an event by its position."""
OF_THE_LOG = ("version", "recorded", "position", "more")
Documents = list[dict[str, Any]]


def recorded(found: RecordedViews, documents: Documents) -> tuple[Documents, dict[int, str]]:
    """Return the accepted documents, naming events by id, and the id of each position."""
    positions: dict[str, int] = {}
    accepted = []
    for document in documents:
        ready = posted(document, positions, found)
        try:
            found.record(ready)
        except Refused:
            continue
        positions[document["id"]] = found.head
        ids = {position: id_ for id_, position in positions.items()}
        spoken = {name: ids[ready["data"][name]] for name in NAMING if name in ready["data"]}
        accepted.append({**document, "data": {**document["data"], **spoken}})
    return accepted, {position: id_ for id_, position in positions.items()}


def waited(found: RecordedViews, documents: Documents) -> dict[int, str] | None:
    """Record documents in their order, each as soon as it is accepted; None if some never are."""
    positions: dict[str, int] = {}
    pending = list(documents)
    while pending:
        for document in pending:
            later = [other["id"] for other in pending if other is not document and is_order_relevant(document, other)]
            if (
                any(document["data"].get(name, "") not in ("", *positions) for name in NAMING)
                or min(later, default="~") < document["id"]
            ):
                continue
            try:
                found.record(posted(document, positions, found))
            except Refused:
                continue
            positions[document["id"]] = found.head
            pending.remove(document)
            break
        else:
            return None
    return {position: id_ for id_, position in positions.items()}


def is_order_relevant(document: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether their order matters: of two corrections the later wins, of two mergers the survivor."""
    kinds = {document["type"], other["type"]}
    if kinds == {"event.corrected"}:
        return bool(document["data"]["event"] == other["data"]["event"])
    return kinds == {"party.merged"}


def plain(value: Any, ids: Mapping[int, str] | None) -> Any:
    """Return an answer without the log: events by id, or left out where there are no ids to compare."""
    if isinstance(value, dict):
        converted: dict[str, Any] = {}
        for name, part in value.items():
            if name in OF_THE_LOG or (ids is None and name in ("events", *NAMING)):
                continue
            if name == "events" and ids is not None and isinstance(part, list):
                converted[name] = sorted(ids[position] for position in part)
            elif name == "events" and ids is not None and all(isinstance(each, list) for each in part.values()):
                converted[name] = {field: sorted(ids[each] for each in listed) for field, listed in part.items()}
            elif name in NAMING and isinstance(part, int) and ids is not None:
                converted[name] = ids[part]
            else:
                converted[name] = plain(part, ids)
            if name == "disputed":
                converted[name].sort(key=repr)
        return converted
    if isinstance(value, list):
        return [plain(part, ids) for part in value]
    return value.partition(":")[0] if isinstance(value, str) and value.startswith(("NotFound", "Gone")) else value


def answers_of(found: RecordedViews, ids: Mapping[int, str] | None) -> dict[str, Any]:
    """Return every answer, without the log."""
    return {query: plain(answer, ids) for query, answer in everything(found).items() if "statistics" not in query}


@settings(**GENERATED, max_examples=30)
@given(histories(most=24), st.randoms(use_true_random=False))
def test_answers_do_not_depend_on_the_order_of_recording(documents: Documents, chance: random.Random):
    with new_views() as found, new_views() as shuffled:
        accepted, ids = recorded(found, by_number(documents))
        mixed = list(accepted)
        chance.shuffle(mixed)
        other_ids = waited(shuffled, mixed)
        assume(other_ids is not None)
        assert difference(answers_of(found, ids), answers_of(shuffled, other_ids)) == {}


def by_number(documents: Documents) -> Documents:
    """Return the documents with ids that sort as they were posted."""
    names = {document["id"]: f"e{index:03}" for index, document in enumerate(documents)}
    renamed = []
    for document in documents:
        data = dict(document["data"])
        if isinstance(data.get("event"), str):
            data["event"] = names[data["event"]]
        renamed.append({**document, "id": names[document["id"]], "data": data})
    return renamed


@settings(**GENERATED, max_examples=30)
@given(histories(most=16), st.data())
def test_retracted_fact_leaves_no_trace_in_the_current_state(documents: Documents, data: st.DataObject):
    with new_views() as found, new_views() as without:
        accepted, ids = recorded(found, by_number(documents))
        gone = {spoken_of(each) for each in accepted if each["type"] == "event.retracted"}
        facts = [each for each in accepted if each["type"] not in REMARKS and each["id"] not in gone]
        fact = data.draw(st.sampled_from(facts))
        position = next(position for position, id_ in ids.items() if id_ == fact["id"])
        try:
            found.record(retracted(fact["subject"], position))
        except Refused:
            assume(False)
        ids[found.head] = "retraction"
        rest = [each for each in accepted if each["id"] not in about(accepted, fact["id"])]
        other_ids = waited(without, rest)
        assume(other_ids is not None)
        answers, others = answers_of(found, ids), answers_of(without, other_ids)
        never = {query for query, answer in others.items() if answer == "NotFound" and answers[query] == "Gone"}
        assert set(difference(answers, others)) <= never


def spoken_of(document: Mapping[str, Any]) -> str | None:
    spoken = document["data"].get("event")
    return spoken if isinstance(spoken, str) else None


def about(documents: Sequence[Mapping[str, Any]], id_: str) -> set[str]:
    """Return an event and all events about it."""
    found = {id_}
    for document in documents:
        if document["type"] in REMARKS and spoken_of(document) in found:
            found.add(document["id"])
    return found


@settings(**GENERATED, max_examples=30)
@given(histories(most=16, undone=False))
def test_corrected_fact_gives_the_state_of_the_right_fact(documents: Documents):
    with new_views() as found, new_views() as so_from_the_start:
        accepted, _ = recorded(found, by_number(documents))
        known = {document["id"]: document for document in accepted}
        corrections = [each for each in accepted if each["type"] == "event.corrected"]
        spoken = {known[each["data"]["event"]]["type"] for each in accepted if each["type"] in REMARKS}
        assume(corrections and not spoken & set(REMARKS))
        for correction in corrections:
            content = correction["data"]
            fact = known[content["event"]]
            corrected = dict(fact)
            if "data" in content:
                converted = {name: fact["data"][name] for name in ("evidence", "note") if name in fact["data"]}
                corrected["data"] = {**converted, **content["data"]}
            if "occurred" in content:
                corrected.pop("occurred", None)
                corrected |= {"occurred": content["occurred"]} if content["occurred"] is not None else {}
            known[content["event"]] = corrected
        others = [document for document in known.values() if document["type"] != "event.corrected"]
        assume(waited(so_from_the_start, others) is not None)
        assert difference(answers_of(found, None), answers_of(so_from_the_start, None)) == {}
