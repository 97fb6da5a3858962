"""Facts of a page: what was recorded, in the order of valid time, each with the words that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from domain.edtf import span_of
from projections.engine.query_types import Gone, NotFound, Page, TimeSlice
from projections.reader import Reader
from service.pages.item_titles import show_titles

MOST_FACTS = 100


class _Languages:
    """The languages of documents, each looked up once."""

    def __init__(self, reader: Reader, as_of: int) -> None:
        self._reader = reader
        self._as_of = as_of
        self._found: dict[str, str | None] = {}

    def of(self, document: str) -> str | None:
        """Return the language of a document, None where it is not known."""
        if document not in self._found:
            self._found[document] = None
            with suppress(NotFound, Gone):
                state = self._reader.state(document, TimeSlice(self._as_of, None)).body
                self._found[document] = state.get("language")
        return self._found[document]


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
    show_titles(page.items, reader, as_of)
    languages = _Languages(reader, as_of)
    actors = reader.actors(each["position"] for each in page.items)
    for each in page.items:
        cited = [passage for by in each.get("evidence", {}).values() for passage in by]
        each["passages"] = [{**passage, "language": languages.of(passage["document"]["subject"])} for passage in cited]
        each["actor"] = actors[each["position"]]
        each["is_later"] = question.on is not None and span_of(each["occurred"]).lo > question.on
    return page


def remarks(reader: Reader, subject: str, question: TimeSlice, limit: int = MOST_FACTS) -> list[dict[str, Any]]:
    """Return the corrections, retractions, disputes and erasures among the last events of a subject."""
    page = reader.history(subject, TimeSlice(question.as_of, None), limit=limit, after=None)
    return [each for each in page.items if each["type"].startswith("event.")]
