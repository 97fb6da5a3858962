"""Pages of lists: the filters of the API as facets with counts, sorting and paging."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

from projections.catalogue import LIST_VIEWS
from projections.engine.filters import Choice, Day, Filter, SubjectOf
from projections.engine.query_types import Page, TimeSlice
from projections.reader import Reader
from service.http.operations import Values
from service.http.query_parameters import cursor, read_cursor
from service.pages import pictures
from service.pages.addresses import Address
from service.pages.facts import facts
from service.pages.site import Context, Visit, page

PAGE_SIZE = 50
_NOT_FILTERS = frozenset(("lang", "as_of", "on", "cursor", "sort"))
_TIMELINE = "timeline"


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a filter: how many subjects have it (None: not counted), and the address that chooses or drops it."""

    value: str
    count: int | None
    href: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """A filter of a list: the `values` of a closed choice, or an `input` (text, date) to fill in."""

    name: str
    description: str
    input: str
    values: list[FacetValue]
    given: str


def list_page(view: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler of the page of one list."""
    declared = LIST_VIEWS[view]
    several = {each.name for each in declared.filters if isinstance(each.value, Choice)}
    changed_by: dict[str, list[str]] = {}
    for each in declared.filters:
        if each.changes is not None:
            changed_by.setdefault(each.changes, []).append(each.name)

    def find(reader: Reader, visit: Visit) -> Context:
        values: Values = {
            name: tuple(given.split(",")) if name in several else (given,)
            for name, given in visit.address.query
            if given
        }
        filters = {name: given for name, given in values.items() if name not in _NOT_FILTERS}
        question, after = _pinned(view, visit, values)
        sort = values.get("sort", (None,))[0]
        found = _page(reader, view, question, filters, sort, after)
        counts = reader.statistics(question).get(view, {})
        return {
            "view": view,
            "items": found.items,
            "next": visit.address.changed(cursor=cursor(visit.address.path, values, question, found.after))
            if found.after is not None
            else None,
            "facets": [
                _facet(visit, each, filters, counts)
                for each in declared.filters
                if each.name != "q" and (each.changes is None or each.changes in filters)
            ],
            "words": filters.get("q", ("",))[0],
            "orders": [(order, visit.address.changed(sort=order, cursor=None)) for order in declared.sorts],
            "sort": sort,
            "chosen": [
                (name, given, visit.address.changed(**dict.fromkeys((name, *changed_by.get(name, ()))), cursor=None))
                for name, given in filters.items()
            ],
            "total": counts.get("total"),
            "chart": _chart(visit, view, found.items),
        }

    async def handler(request: web.Request) -> web.StreamResponse:
        given = {name for name, value in request.query.items() if value}
        useless = given.intersection(name for changed in changed_by.keys() - given for name in changed_by[changed])
        if useless:  # the form was sent with the field of the filter that they change emptied
            address = Address(request.path, tuple(request.query.items()))
            location = address.changed(**dict.fromkeys(useless), cursor=None)
            return web.Response(status=303, headers={hdrs.LOCATION: location})
        return await page(request, "list.html", find)

    return handler


def _pinned(view: str, visit: Visit, values: Values) -> tuple[TimeSlice, Sequence[Any] | None]:
    """Return the question of a page and the keys after which it goes on; the first page's question for later pages."""
    question = visit.times.question
    if (pinned := read_cursor(visit.address.path, values, visit.head)) is not None:
        return pinned
    if view == _TIMELINE and "on" not in visit.address.kept():
        return TimeSlice(question.as_of, None), None
    return question, None


def _page(
    reader: Reader,
    view: str,
    question: TimeSlice,
    filters: Mapping[str, Sequence[str]],
    sort: str | None,
    after: Sequence[Any] | None,
) -> Page:
    if view == _TIMELINE:
        return facts(reader, question, filters, sort=sort, limit=PAGE_SIZE, after=after)
    return reader.page(view, question, filters, sort=sort, limit=PAGE_SIZE, after=after)


def _chart(visit: Visit, view: str, items: Sequence[Mapping[str, Any]]) -> pictures.Chart | None:
    """Return the picture of a timeline, or of commitments by due date; None for other lists, and without dates."""
    rows: list[pictures.Row]
    match view:
        case "timeline":
            title = visit.wording.text("These facts, in the order of valid time")
            rows = [
                (each["subject"].get("name") or each["subject"]["subject"], day, day, "", f"#entry-{each['position']}")
                for each in items
                if (day := each["occurred"]) is not None
            ]
        case "commitments":
            title = visit.wording.text("When commitments are due")
            rows = [
                (each["title"], day, day, each["status"], visit.address.subject(each["agreement"]["subject"]))
                for each in items
                if (day := each.get("due")) is not None
            ]
        case _:
            return None
    return pictures.chart(visit, f"{view}-chart", title, rows)


def _facet(visit: Visit, declared: Filter, chosen: Mapping[str, Sequence[str]], counts: Mapping[str, Any]) -> Facet:
    name = declared.name
    given = chosen.get(name, ())
    counted = counts.get(name, {})
    values = []
    if isinstance(declared.value, Choice):
        for value in declared.value.values:
            if counted and value not in counted and value not in given:
                continue
            kept = [each for each in given if each != value] if value in given else [*given, value]
            href = visit.address.changed(**{name: ",".join(kept) or None}, cursor=None)
            values.append(FacetValue(value, counted.get(value) if counted else None, href, value in given))
    kind = "date" if isinstance(declared.value, Day) else "subject" if isinstance(declared.value, SubjectOf) else "text"
    return Facet(name, declared.description, kind, values, given[0] if given else "")
