"""The vocabulary: every event type, field, status, filter, problem and metric, each with its one sentence.

The sentences stand where the words are declared; this module only collects them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from domain.catalogue import CATALOGUE
from domain.payload import Record
from domain.statuses import CERTAINTIES, MEANINGS, transitions
from projections.catalogue import LIST_VIEWS
from service.metrics import Metrics
from service.problems import KINDS


class Entry(NamedTuple):
    """A word with what it is (`of`: of what), and its sentence."""

    word: str
    what: str
    of: str
    sentence: str


@cache
def vocabulary() -> tuple[Entry, ...]:
    """Return every word, in the order of their declaration."""
    return tuple(
        dict.fromkeys((*_types(), *_fields(), *_statuses(), *_certainties(), *_filters(), *_problems(), *_metrics()))
    )


def explain(word: str) -> list[Entry]:
    """Return the entries of a word in any case, with `_` or blanks for `-`; else those of words that contain it."""
    wanted = _plain(word)
    return [each for each in vocabulary() if _plain(each.word) == wanted] or [
        each for each in vocabulary() if wanted in _plain(each.word)
    ]


def _plain(word: str) -> str:
    return word.lower().replace("_", "-").replace(" ", "-")


def _types() -> Iterator[Entry]:
    for name, kind in CATALOGUE.items():
        yield Entry(name, "event type", "", _first_paragraph(kind.data.__doc__ or ""))


def _fields() -> Iterator[Entry]:
    for name, kind in CATALOGUE.items():
        yield from _of_record(kind.data, name)


def _of_record(record: type[Record], of: str) -> Iterator[Entry]:
    for name, field in record.model_fields.items():
        shown = field.alias or name
        yield Entry(shown, "field", of, field.description or "")
        if (inner := record.INNER.get(shown)) is not None:
            yield from _of_record(inner, f"{of}, {shown}")


def _statuses() -> Iterator[Entry]:
    ways = transitions()
    for of, meanings in MEANINGS.items():
        for status, sentence in meanings.items():
            events = dict.fromkeys(
                way.event for what, found in ways.items() if what.startswith(of) for way in found if way.after == status
            )
            led = f" Led to by {', '.join(events)}." if events else ""
            yield Entry(status, "status", of, sentence + led)


def _certainties() -> Iterator[Entry]:
    for word, sentence in CERTAINTIES.items():
        yield Entry(word, "certainty", "", sentence)


def _filters() -> Iterator[Entry]:
    for name, view in LIST_VIEWS.items():
        for each in view.filters:
            yield Entry(each.name, "filter", name, each.description)


def _problems() -> Iterator[Entry]:
    for kind, explained in KINDS.items():
        yield Entry(str(kind), "problem", str(explained.status), explained.text)


def _metrics() -> Iterator[Entry]:
    for metric in Metrics().registry.collect():
        yield Entry(metric.name, "metric", "", metric.documentation)


def _first_paragraph(text: str) -> str:
    return " ".join(text.strip().split("\n\n")[0].split())
