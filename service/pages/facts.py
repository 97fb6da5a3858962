"""Facts of a page: what was recorded, in the order of valid time, each with the words that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from domain.edtf import span_of
from projections.engine.query_types import Gone, NotFound, Page, TimeSlice
from projections.reader import Reader

MOST_FACTS = 100
_AROUND = 80
"""Characters of a text that are shown before and after a passage."""
_LONGEST = 1_200
"""A longer passage is shown by its beginning."""


class Passages:
    """The words of cited passages, where the texts of their documents are stored."""

    def __init__(self, reader: Reader, as_of: int) -> None:
        self._reader = reader
        self._as_of = as_of
        self._documents: dict[str, tuple[str | None, str | None]] = {}

    def shown(self, passage: Mapping[str, Any]) -> dict[str, Any]:
        """Return a passage with `language`, and `words` (before, exact, after) where its text is stored."""
        text, language = self._document(passage["document"]["subject"])
        return {**passage, "language": language, "words": _words(passage, text)}

    def _document(self, subject: str) -> tuple[str | None, str | None]:
        """Return the stored text of a document, and its language; None where there is none."""
        if subject not in self._documents:
            text = language = None
            with suppress(NotFound, Gone):
                language = self._reader.state(subject, TimeSlice(self._as_of, None)).body.get("language")
                text = self._reader.text(subject, self._as_of)[1]
            self._documents[subject] = text, language
        return self._documents[subject]


def _words(passage: Mapping[str, Any], whole: str | None) -> dict[str, str] | None:
    if whole is None or passage["status"] != "verified":
        return None
    start, end = passage.get("start"), passage.get("end")
    if start is None or end is None:
        start = whole.find(passage["exact"])
        end = start + len(passage["exact"])
    before, after = max(0, start - _AROUND), min(len(whole), end + _AROUND)
    exact = whole[start:end] if end - start <= _LONGEST else whole[start : start + _LONGEST] + "…"
    return {
        "before": ("…" if before else "") + whole[before:start],
        "exact": exact,
        "after": whole[end:after] + ("…" if after < len(whole) else ""),
    }


def facts(
    reader: Reader,
    question: TimeSlice,
    filters: Mapping[str, Sequence[str]],
    *,
    sort: str | None = None,
    limit: int = MOST_FACTS,
    after: Sequence[Any] | None = None,
) -> Page:
    """Return facts of any day as known at the question's position, each with `passages`, `actor` and `is_later`.

    `is_later`: the fact lies after the day of the question for certain.
    """
    as_of = question.as_of
    page = reader.page("timeline", TimeSlice(as_of, None), filters, sort=sort, limit=limit, after=after, evidence=True)
    passages = Passages(reader, as_of)
    actors = reader.actors(each["position"] for each in page.items)
    for each in page.items:
        cited = [passage for by in each.get("evidence", {}).values() for passage in by]
        each["passages"] = [passages.shown(passage) for passage in cited]
        each["actor"] = actors[each["position"]]
        each["is_later"] = question.on is not None and span_of(each["occurred"]).lo > question.on
    return page


def remarks(reader: Reader, subject: str, question: TimeSlice, limit: int = MOST_FACTS) -> list[dict[str, Any]]:
    """Return the corrections, retractions, disputes and erasures among the last events of a subject."""
    page = reader.history(subject, TimeSlice(question.as_of, None), limit=limit, after=None)
    return [each for each in page.items if each["type"].startswith("event.")]
