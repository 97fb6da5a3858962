"""Time slices: the SQL that selects rows as of a position and on a day, and the JSON of a selected row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from domain.list_items import STATUS_ORDER
from domain.membership import ENDED_STATUSES, ORDER_OF_STATUSES
from domain.values import Reference
from projections.engine.query_types import TimeSlice
from projections.engine.reference_values import refer
from projections.engine.row_codecs import decode_membership, roles_of

HOLDING = sum(1 << index for index, status in enumerate(ORDER_OF_STATUSES) if status not in ENDED_STATUSES)
"""The statuses in which a membership holds, as bits."""


def as_of_and_on(table: str, question: TimeSlice) -> str:
    """Return the condition that a row was current as of the position and valid on the day; `times` gives its values.

    Without a day, the condition selects the final period of each interval.
    """
    if question.on is None:
        return f"{table}.system_from <= ? AND {table}.system_to > ? AND {table}.is_final_period"
    return f"{table}.system_from <= ? AND {table}.system_to > ? AND {table}.valid_from <= ? AND {table}.valid_to > ?"


def times(question: TimeSlice) -> tuple[int, ...]:
    """Return the values of `as_of_and_on`."""
    if question.on is None:
        return (question.as_of, question.as_of)
    return (question.as_of, question.as_of, question.on, question.on)


def holds(table: str, question: TimeSlice) -> str:
    """Return the condition of `as_of_and_on` for memberships that may hold on the day; without a day for all."""
    return as_of_and_on(table, question) + (
        "" if question.on is None else f" AND {table}.possible_statuses & {HOLDING}"
    )


def claim_columns(table: str, question: TimeSlice) -> str:
    """Return the columns that `claim` takes: the status, the possible statuses, whether it is certain."""
    if question.on is None:
        return f"{table}.status, {possible_statuses(table, question)}, {table}.final_statuses = 1 << {table}.status"
    return f"{table}.status, {possible_statuses(table, question)}, {table}.is_certain"


def possible_statuses(table: str, question: TimeSlice) -> str:
    """Return the column of the possible statuses, as bits."""
    return f"{table}.possible_statuses" if question.on is not None else f"{table}.final_statuses"


def is_certain(table: str, question: TimeSlice, statuses: int | None = None) -> str:
    """Return the condition that the claim of a row is certain; `statuses` are the requested ones, as bits, if any.

    On a day, a row with several possible statuses does not say whether the item may also have none yet, so that its
    claim counts as possible.
    """
    if statuses is None and question.on is None:
        return f"({table}.status IS NULL OR {table}.final_statuses = 1 << {table}.status)"
    on_that_day = "" if question.on is None else f"{table}.is_certain AND "
    other = 0 if statuses is None else ~statuses
    return f"({on_that_day}NOT ({possible_statuses(table, question)} & {other}))"


def subject_state_columns(question: TimeSlice) -> str:
    """Return the columns of `subject_states t` and `subjects s` of which a state is made."""
    return (
        f"t.subject, t.collection, {claim_columns('t', question)}, t.name, t.body, s.name, s.version, s.last, s.holds"
    )


def claim(order: Sequence[str], status: int, possible: int, certain: int) -> dict[str, Any]:
    """Return the status of an item as answered, with `statuses` if several are possible, and `certainty`."""
    claimed: dict[str, Any] = {"status": order[status]}
    if possible & (possible - 1):
        claimed["statuses"] = [name for index, name in enumerate(order) if possible >> index & 1]
    claimed["certainty"] = "certain" if certain else "possible"
    return claimed


def membership_columns(table: str, question: TimeSlice) -> str:
    """Return the columns that `membership` takes."""
    return f"{table}.party_name, {table}.container_name, {claim_columns(table, question)}, {table}.role, {table}.body"


def membership(row: Sequence[Any]) -> dict[str, Any]:
    """Return a membership as answered, from `membership_columns`."""
    party, container, status, possible, certain, role, stored = row
    fields = decode_membership(stored)
    return {
        "party": Reference(party),
        "in": Reference(container),
        **claim(ORDER_OF_STATUSES, status, possible, certain),
        "category": fields.pop("category"),
        **({} if role is None else roles_of(role)),
        **fields,
    }


def list_item(row: Sequence[Any], question: TimeSlice, references: Sequence[str]) -> dict[str, Any]:
    """Return a list item as answered, from `claim_columns` and the body; `references` are its fields with subjects."""
    status, possible, certain, stored = row
    body = refer(orjson.loads(stored), references)
    if status is not None:
        body |= claim(STATUS_ORDER, status, possible, certain)
    elif question.on is not None and not certain:
        body["certainty"] = "possible"
    return body
