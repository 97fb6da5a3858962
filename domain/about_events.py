"""What an event about another event must fit: a correction, retraction, dispute or redaction, or added evidence.

The target is in the log and about the same subject. Corrected data fits the type of the target; a claim points to a
place that the target has, with a value that this place can have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from domain import agreement, lab
from domain.catalogue import EventRedacted
from domain.claims import place_in
from domain.cloudevent import checked
from domain.corrections import Event, merge_patch
from domain.document import false_quotations
from domain.errors import Contradiction, Flaw
from domain.history import History
from domain.payload import Data
from domain.references import absence, missing_references
from domain.values import pointer, pointer_tokens

_KEPT = ("evidence", "note")
"""The fields that corrected data retains unless it gives them."""
_DEEPEST = 32
"""Most events, each about the next, between an event and a fact."""
_NOWHERE = "points to no place that the event could have"


def target_flaws(history: History, event: Event, data: Any, *, has_gaps: bool) -> Iterator[Flaw]:
    """Yield the flaws of an event about another event. `has_gaps`: see `decide.decide`."""
    target = history.event(data.event)
    if target is None:
        yield Flaw("/data/event", f"there is no event at position {data.event}")
    elif _depth(history, target) >= _DEEPEST:
        yield Flaw("/data/event", f"events about events are nested at most {_DEEPEST} deep")
    elif event.subject != target.subject and event.subject not in history.cluster(target.subject):
        yield Flaw("/data/event", f"the event at position {target.position} is about {target.subject}")
    elif not target.kind.is_posted:  # nor is it redacted: a text is erased by deleting it
        yield Flaw("/data/event", f"the event at position {target.position} was recorded by the registry itself")
    elif (event.type, target.type) == ("event.retracted", "event.redacted"):
        yield Flaw("/data/event", "a redaction cannot be retracted, as erased data does not come back")
    elif not has_gaps:
        yield from _content_flaws(history, event.type, target, data, event.plain, "/data")


def check_redaction(history: History, data: EventRedacted) -> None:
    """Raise Contradiction if the target of a redaction is redacted already."""
    if (by := history.redaction(data.event)) is not None:
        raise Contradiction(f"the event at position {data.event} is redacted already", positions=[by])


def missing_items(history: History, subject: str, type_: str, data: Data) -> Iterator[Flaw]:
    """Yield the list items that an event changes and that were not opened."""
    match subject.partition("/")[0]:
        case "agreements":
            yield from agreement.flaws(history, subject, type_, data)
        case "labs":
            yield from lab.flaws(history, subject, type_, data)


def _content_flaws(
    history: History, type_: str, target: Event, data: Any, plain: Mapping[str, Any], at: str
) -> Iterator[Flaw]:
    """Yield the flaws of the data, as a record and as JSON at a pointer, of an event of a type about `target`."""
    if type_ == "event.disputed":
        current = _current_data(history, target)
        for index, claim in enumerate(data.claims):
            if (flaw := _claim_flaw(history, target, current, claim.pointer, claim.value)) is not None:
                yield Flaw(f"{at}/claims/{index}{flaw.pointer}", flaw.detail)
    if type_ == "event.corrected" and data.data is not None:
        yield from _correction_flaws(history, target, plain["data"], f"{at}/data")
    elif type_ == "event.corrected" and data.data_patch is not None:
        if history.corrections(target).effective_event(target).erased:
            yield Flaw(f"{at}/data_patch", "changes data that was erased; give all of it as data")
            return
        patch = plain["data_patch"]
        patched = merge_patch(_current_data(history, target), patch)
        yield from _correction_flaws(history, target, patched, f"{at}/data_patch", quotes="evidence" in patch)


def _correction_flaws(
    history: History, target: Event, given: Mapping[str, Any], at: str, *, quotes: bool = True
) -> Iterator[Flaw]:
    """Yield the flaws of data, at a pointer, that would replace the data of an event. `quotes`: its evidence is new."""
    current = _current_data(history, target)
    corrected: Any
    corrected, flaws = checked(target.kind, {**{name: current[name] for name in _KEPT if name in current}, **given})
    yield from (Flaw(at + flaw.pointer, flaw.detail) for flaw in flaws)
    if corrected is None:
        return
    yield from missing_references(history, target.kind.data, given, tuple(pointer_tokens(at)))
    if quotes:
        yield from false_quotations(history, given, at)
    if not target.kind.about_event:
        for flaw in missing_items(history, target.subject, target.type, corrected):
            yield Flaw(at + flaw.pointer.removeprefix("/data"), flaw.detail)
    elif corrected.event != target.about:
        yield Flaw(f"{at}/event", "cannot change; retract this event to refer to another one")
    elif (further := history.event(corrected.event)) is not None:
        yield from _content_flaws(history, target.type, further, corrected, given, at)


def _claim_flaw(history: History, target: Event, data: Mapping[str, Any], at: str, value: Any) -> Flaw | None:
    """Return why a value cannot be at a pointer of an event, whose current data is `data`."""
    if at == "/occurred":
        return None  # its value is a date, or the record would not be one
    tokens = pointer_tokens(at)[1:]
    if target.type == "event.corrected" and tokens[0] == "data" and len(tokens) > 1:
        corrected, given = _target_of(history, target), data.get("data")
        if corrected is None or given is None:
            return Flaw("/pointer", _NOWHERE)
        return _claim_flaw(history, corrected, given, pointer("data", *tokens[1:]), value)
    is_in_patch = target.type == "event.corrected" and tokens[0] == "data_patch"
    place = None if is_in_patch else place_in(target.kind.data, data, tokens)
    if place is None:
        return Flaw("/pointer", _NOWHERE)
    detail = place.flaw_of(value)
    if detail is None:
        absences = (absence(history, subject) for subject in place.references_in(value))
        detail = next(filter(None, absences), None)
    if detail is None and value is not None and (further := _target_of(history, target)) is not None:
        detail = _misfit(history, target, further, data, tokens, value)
    return None if detail is None else Flaw("/value", detail)


def _misfit(
    history: History, target: Event, further: Event, data: Mapping[str, Any], tokens: Sequence[str], value: Any
) -> str | None:
    """Return why a value cannot be in an event, `target`, because it does not fit the event that this one is about."""
    flaws: Iterable[Flaw | None] = ()
    match target.type, tokens:
        case "event.corrected", ["data"]:
            flaws = _correction_flaws(history, further, value, "/data")
        case "event.disputed", ["claims", *rest]:
            claims = value if not rest else [value]
            if len(rest) == 2:
                claims = [{**data["claims"][int(rest[0])], rest[1]: value}]
            current = _current_data(history, further)
            flaws = (_claim_flaw(history, further, current, each["pointer"], each["value"]) for each in claims)
    return next((f"is not possible there: {flaw.detail}" for flaw in flaws if flaw is not None), None)


def _current_data(history: History, event: Event) -> dict[str, Any]:
    return history.corrections(event).effective_event(event).data


def _target_of(history: History, event: Event) -> Event | None:
    return None if event.about is None else history.event(event.about)


def _depth(history: History, event: Event) -> int:
    """Return the number of events that an event is about, directly or through others, up to the limit."""
    depth, target = 0, event
    while target.about is not None and depth < _DEEPEST:
        following = history.event(target.about)
        if following is None:
            break
        depth, target = depth + 1, following
    return depth
