"""Commitments: the filters and orders of their list, over all agreements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, get_args

from pydantic import Field
from typing_extensions import TypedDict

from domain.commitment import CommitmentKind, CommitmentMade, CommitmentUpdated
from domain.corrections import Fact
from domain.edtf import BEFORE, parse_day
from domain.list_items import COMMITMENT_STATUSES, STATUS_ORDER, CommitmentItem, commitment_periods
from domain.values import Reference
from projections.engine import canonical_rows
from projections.engine.filters import CERTAINTY, SUBSIDIARIES, WORDS, Day, Filter, SubjectOf, of_kind, of_status
from projections.engine.item_lists import Terms, opened_list
from projections.engine.planner import Planner
from projections.engine.query_parts import Order, by_date, places
from projections.engine.specification import Digest, Items, Listing, Rows, RowView, Scope
from projections.engine.time_slices import as_of_and_on, claim_columns, list_item, times

_NUMBER = 0
"""The number of the list. Partial indexes of the table of items are over these alone."""
_OWN = f"section = {_NUMBER}"
_CURRENT = (2**30 - 1) ^ sum(1 << STATUS_ORDER.index(status) for status in ("fulfilled", "cancelled"))
"""The statuses in which a commitment has not ended, as bits."""
_ENDED_TOO = " Without it, those that have ended are left out unless `on=any`; with it they are listed under theirs."


def _keys(fact: Fact) -> Sequence[str]:
    data = fact.data
    return [f"commitment:{data.commitment}"] if isinstance(data, CommitmentMade | CommitmentUpdated) else ()


def _parties(value: Mapping[str, Any]) -> Iterator[str]:
    for name in ("by", "with"):
        for party in value.get(name, ()):
            yield party["subject"]


COMMITMENT_LIST = opened_list(
    "commitments",
    _NUMBER,
    item=CommitmentItem,
    statuses=COMMITMENT_STATUSES,
    opening="agreement.commitment-made",
    changed_by=("agreement.commitment-updated",),
    keys=_keys,
    periods=commitment_periods,
    is_view=True,
    terms=Terms("party", _parties, are_subjects=True),
)
"""The list inside the state of an agreement."""


class _OfAgreement(TypedDict):
    agreement: Annotated[Reference, Field(description="The agreement.")]


class ListedCommitment(_OfAgreement, CommitmentItem):
    """A commitment and the agreement that it is part of."""


def _by_party(planner: Planner) -> None:
    """Select commitments that are made by or with one of the requested parties."""
    group = planner.parties
    terms = f"terms x WHERE x.kind = 'party' AND x.value IN ({places(group)})"
    values = [str(member) for member in group]
    if "agreement" in planner.filters or planner.is_common(terms, *values):
        # the terms of one commitment are few, and the group may be large: `+` stops a search for each of the group
        own = f"x.owner = t.id AND x.kind = 'party' AND +x.value IN ({places(group)})"
        planner.query.add(f"EXISTS (SELECT 1 FROM terms x WHERE {own})", *values)
    else:
        planner.query.add(f"t.id IN (SELECT x.owner FROM {terms})", *values, narrow=True)


def _by_agreement(planner: Planner, agreement: str) -> None:
    if planner.sort == "agreement":
        planner.query.add("t.label > ? AND t.label < ?", f"{agreement} ", f"{agreement}!")
    else:
        planner.query.add("t.subject = ?", planner.number(agreement))


def _due_before(planner: Planner, day: int) -> None:
    is_walked = planner.sort == "due"
    due = f"SELECT id FROM list_items WHERE {_OWN} AND due > ? AND due < ?"
    if is_walked or not planner.among(due, BEFORE, day):
        column = "t.due" if is_walked else "+t.due"
        planner.query.add(f"{column} > ? AND {column} < ?", BEFORE, day)


def _query(planner: Planner) -> Listing:
    query, question = planner.query, planner.question
    query.add(f"t.{_OWN}")
    query.add(as_of_and_on("t", question), *times(question))
    if "status" not in planner.filters and question.on is not None:
        query.add("t.possible_statuses & ?", _CURRENT)
    match planner.sort:
        case "agreement":
            order = Order(("+t.label" if query.narrow else "t.label",), (str,), planner.is_descending)
        case "due":
            order = by_date("t.due", {"t.label": str}, descending=planner.is_descending)
        case _:
            order = by_date("t.at", {"t.label": str}, descending=planner.is_descending)

    def items(rows: Rows) -> Items:
        found = [
            {
                "agreement": Reference(planner.index.name(row[0])),
                **list_item(row[1:], question, COMMITMENT_LIST.item.references),
            }
            for row in rows
        ]
        return planner.certified(found, rows, 1)

    return Listing(f"t.subject, {claim_columns('t', question)}, t.body FROM list_items t", order, items)


COMMITMENTS = RowView(
    name="commitments",
    item=replace(COMMITMENT_LIST.item, fields=ListedCommitment),
    sorts=("agreement", "due", "made"),
    table="list_items",
    condition=_OWN,
    query=_query,
    digest=Digest(
        (canonical_rows.list_items((COMMITMENT_LIST,)),),
        Scope(frozenset(("agreements",)), frozenset((COMMITMENT_LIST.name,)), by_subject=True),
    ),
    filters=(
        WORDS,
        Filter(
            "party",
            SubjectOf(("parties",)),
            "A party it is made by or with.",
            lambda planner, _: _by_party(planner),
        ),
        SUBSIDIARIES,
        Filter(
            "agreement",
            SubjectOf(("agreements",)),
            "The agreement it is part of.",
            lambda planner, values: _by_agreement(planner, values[0]),
        ),
        of_kind(get_args(CommitmentKind), "commitment"),
        of_status(COMMITMENT_STATUSES, _ENDED_TOO),
        Filter(
            "due_before",
            Day(),
            "Due before this day",
            lambda planner, values: _due_before(planner, parse_day(values[0])),
        ),
        CERTAINTY,
    ),
)
