"""Many events at once, one attribute beside the other: nearly all events are as they should be, and what is checked of
a whole column costs a tenth of the same event by event. Nothing here is judged, and nothing may be relied on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

_RECORDED, _OCCURRED, _TIME, _ACTOR = '"recorded":"', '"occurred":"', '"time":"', '{"actor":"'
_BEFORE = len('{"actor":"","data_sha256":"') + 64
"""Characters of any entry before any other field."""
_INSTANT = len("2026-01-31T09:30:00.123456Z")

Texts = Sequence[str]


@dataclass(frozen=True, slots=True)
class Columns:
    """What the fields of `Row` hold, where each has the type that it should. `text` is the entry as text.

    Where nothing but the entry says when an event was recorded, and so on, it is what stands at the place in the entry
    where the one form has it: only of an entry in that form it is what the entry says.
    """

    position: tuple[int, ...]
    version: tuple[int, ...]
    subject: Texts
    type: Texts
    source: Texts
    id: Texts
    entry: tuple[bytes, ...]
    data: tuple[bytes, ...]
    salt: tuple[bytes, ...]
    time: Sequence[str | None]
    occurred: Sequence[str | None]
    recorded: Texts
    actor: Texts
    text: Texts


def columns_of(rows: Sequence[Sequence[Any]]) -> Columns | None:
    """The columns of some events, as rows or as the log's table has them; None where they are not all made as events
    are, and each has to be looked at."""
    if not rows:
        return None
    (position, version, subject, type_, source, id_, entry, data, salt, _, _, *more) = zip(*rows, strict=True)
    beside, flaws = more or ((None,), ())
    if not (
        _are((int,), position, version)
        and _are((str,), subject, type_, source, id_)
        and _are((bytes,), entry, data, salt)
        and not any(flaws)
    ):
        return None
    try:
        text = [each.decode() for each in entry]
        said = zip(*beside, strict=True) if None not in beside else None if any(beside) else _said(text)
    except ValueError:
        return None
    if said is None:
        return None
    time, occurred, recorded, actor = said
    if not (_are((str, type(None)), time, occurred) and _are((str,), recorded, actor)):
        return None
    return Columns(
        position, version, subject, type_, source, id_, entry, data, salt, time, occurred, recorded, actor, text
    )


def _are(types: Collection[object], *columns: Sequence[object]) -> bool:
    return all(set(map(type, column)) <= set(types) for column in columns)


def _said(texts: Texts) -> tuple[Sequence[str | None], Sequence[str | None], Texts, Texts]:
    """What entries say of time, occurred, recorded, actor. Raises ValueError."""
    first = texts[0][: texts[0].index('"', len(_ACTOR)) + 1]
    if all(map(str.startswith, texts, repeat(first))):
        actors: Texts = [first[len(_ACTOR) : -1]] * len(texts)
    else:
        actors = [text[len(_ACTOR) : text.index('"', len(_ACTOR))] for text in texts]
    return (
        _optional(texts, _TIME),
        _optional(texts, _OCCURRED),
        [text[at : at + _INSTANT] for text in texts if (at := text.find(_RECORDED, _BEFORE) + len(_RECORDED))],
        actors,
    )


def _optional(texts: Texts, name: str) -> Sequence[str | None]:
    if name not in "".join(texts):
        return [None] * len(texts)
    size = len(name)
    return [
        text[at + size : text.index('"', at + size)] if (at := text.find(name, _BEFORE)) > 0 else None for text in texts
    ]
