"""Filters of lists, as each view declares them: names, values, descriptions, and how they narrow a query.

The API document, the check of a request and the query follow from the same declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from domain.edtf import parse_day
from domain.values import is_subject
from projections.engine.planner import Planner
from projections.engine.query_types import ANY_STATUS, CERTAINTIES, BadQuestion
from projections.engine.subsidiaries import INCLUDE, MOST

_MOST_CHARACTERS = 1_000
_FORMS = {"parties": "is a party, parties/<slug>", "agreements": "is an agreement, agreements/<slug>"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a closed set of values. Several may be given; an item meets one of them."""

    values: tuple[str, ...]
    wildcard: str | None = None
    """A value beside the others that takes every item."""
    form: str = ""
    """What a value must be, in an error; empty: one of the values."""

    def flaw(self, value: str) -> str | None:
        """Return the error of a value; None if it is valid."""
        if value in self.values or value == self.wildcard:
            return None
        return self.form or f"is one of {', '.join(self.values)}"


@dataclass(frozen=True, slots=True)
class SubjectOf:
    """A subject of some collections; of any where none is named.

    Only one collection by itself is enforced: a subject of another finds nothing.
    """

    collections: tuple[str, ...] = ()

    def flaw(self, value: str) -> str | None:
        """Return the error of a value; None if it is valid."""
        if len(self.collections) != 1:
            return None if is_subject(value) else "is a subject, <collection>/<slug>"
        (collection,) = self.collections
        return None if is_subject(value) and value.startswith(f"{collection}/") else _FORMS[collection]


@dataclass(frozen=True, slots=True)
class Day:
    """A day, `YYYY-MM-DD`."""

    def flaw(self, value: str) -> str | None:
        """Return the error of a value; None if it is valid."""
        try:
            parse_day(value)
        except ValueError:
            return "is a day, YYYY-MM-DD"
        return None


@dataclass(frozen=True, slots=True)
class Words:
    """Words of a text."""

    max_length: int = _MOST_CHARACTERS

    def flaw(self, value: str) -> str | None:
        """Return the error of a value; None if it is valid."""
        return None if value.strip() and len(value) <= self.max_length else f"is 1 to {self.max_length} characters"


@dataclass(frozen=True, slots=True)
class Word:
    """Any text, such as a code or a term."""

    examples: tuple[str, ...] = ()

    def flaw(self, value: str) -> str | None:  # noqa: ARG002 - every text is allowed
        """Return None: every text is allowed."""
        return None


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier with its scheme."""

    examples: tuple[str, ...] = ()

    def flaw(self, value: str) -> str | None:
        """Return the error of a value; None if it is valid."""
        return None if ":" in value else "is <scheme>:<value>"


Value = Choice | SubjectOf | Day | Words | Word | Identifier


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of a list.

    `narrow` adds its condition to the query; None where the view has a query of its own, or where the filter `changes`.
    `is_repeatable`: it may be given several times, and an item meets all of them.
    `changes` is the filter whose condition it changes; without that one it is refused.
    """

    name: str
    value: Value
    description: str
    narrow: Callable[[Planner, Sequence[str]], None] | None = None
    is_repeatable: bool = False
    changes: str | None = None


def of_status(statuses: tuple[str, ...], more: str = "", order: tuple[str, ...] | None = None) -> Filter:
    """Return the filter by status; `more` continues its description. `order` is that of the statuses in rows, where
    there are others.
    """
    return Filter(
        "status",
        Choice(statuses, wildcard=ANY_STATUS),
        "The status on that day; where readings of imprecise dates differ, under each that may be. Several, separated"
        f" by commas: any of them. `any`: whatever the status.{more}",
        lambda planner, values: planner.by_status(order or statuses, values),
    )


def of_kind(kinds: tuple[str, ...], what: str) -> Filter:
    """Return the filter by the kind of something."""
    return Filter("kind", Choice(kinds), f"The kind of {what}.", Planner.by_kind)


WORDS = Filter(
    "q",
    Words(),
    "Words in its names and texts, English or Chinese.",
    lambda planner, values: planner.by_words(values[0]),
)
CERTAINTY = Filter(
    "certainty",
    Choice(CERTAINTIES),
    "How certain is what an item claims: `certain` where every reading of imprecise dates gives it, else `possible`.",
    Planner.by_certainty,
)
"""The filter by certainty. It is the last of each list, as it depends on the requested status."""
SUBSIDIARIES = Filter(
    INCLUDE,
    Choice(("subsidiaries",)),
    "`subsidiaries`: the filter `party` selects also the parties that are part of the party or that it owns, whole or"
    f" in part, directly or through others, on that day; with `on=any` on any day. At most {MOST:,} parties.",
    changes="party",
)


def check(
    view: str,
    declared: Sequence[Filter],
    sorts: Sequence[str],
    given: Mapping[str, Sequence[str]],
    sort: str | None,
) -> None:
    """Raise BadQuestion where a view does not take these filters, values or this order."""
    flaws: dict[str, str] = {}
    by_name = {each.name: each for each in declared}
    for name, values in given.items():
        if name not in by_name:
            flaws[name] = f"is no filter of {view}"
            continue
        found = by_name[name]
        if len(values) > 1 and not found.is_repeatable and not isinstance(found.value, Choice):
            flaws[name] = "is given once"
        if found.changes is not None and found.changes not in given:
            flaws[name] = f"goes with `{found.changes}`"
        for value in values:
            if (flaw := found.value.flaw(value)) is not None:
                flaws[name] = flaw
    if sort is not None and sort.removeprefix("-") not in sorts:
        flaws["sort"] = f"is one of {', '.join(sorts)}, with or without - before it"
    if flaws:
        raise BadQuestion(flaws)
