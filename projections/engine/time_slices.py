"""How rows are cut by a question's two times, in SQL, and what a row that is left says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from domain.list_items import STATUS_ORDER
from domain.membership import ENDED_STATUSES, ORDER_OF_STATUSES
from projections.engine.query_types import TimeSlice
from projections.engine.reference_values import Reference, refer
from projections.engine.row_codecs import decode_membership, roles_of

HOLDING = sum(1 << index for index, status in enumerate(ORDER_OF_STATUSES) if status not in ENDED_STATUSES)
"""The statuses in which a membership holds, as bits."""


def as_of_and_on(table: str, question: TimeSlice) -> str:
    """The condition that a row was known then and held on the day; its values are `times`."""
    if question.on is None:
        return f"{table}.system_from <= ? AND {table}.system_to > ? AND {table}.is_final_period"
    return f"{table}.system_from <= ? AND {table}.system_to > ? AND {table}.valid_from <= ? AND {table}.valid_to > ?"


def times(question: TimeSlice) -> tuple[int, ...]:
    """The values for `rectangle`."""
    if question.on is None:
        return (question.as_of, question.as_of)
    return (question.as_of, question.as_of, question.on, question.on)


def holds(table: str, question: TimeSlice) -> str:
    """The condition that a membership was known then and may hold on the day; its values are `times`. Whenever: any."""
    return as_of_and_on(table, question) + (
        "" if question.on is None else f" AND {table}.possible_statuses & {HOLDING}"
    )


def claims(table: str, question: TimeSlice) -> str:
    """The columns that `claim` takes: the status, all that may be, whether it is certain."""
    if question.on is None:
        return f"{table}.status, {may_be(table, question)}, {table}.final_statuses = 1 << {table}.status"
    return f"{table}.status, {may_be(table, question)}, {table}.is_certain"


def may_be(table: str, question: TimeSlice) -> str:
    """The column of all statuses that may be, as bits."""
    return f"{table}.possible_statuses" if question.on is not None else f"{table}.final_statuses"


def is_certain(table: str, question: TimeSlice, statuses: int | None = None) -> str:
    """The condition that what a row claims is certain; `statuses` are those asked for, as bits, where some are.

    On a day a claim of several statuses does not say whether it might be none yet, so that it counts as possible.
    """
    if statuses is None and question.on is None:
        return f"({table}.status IS NULL OR {table}.final_statuses = 1 << {table}.status)"
    on_that_day = "" if question.on is None else f"{table}.is_certain AND "
    other = 0 if statuses is None else ~statuses
    return f"({on_that_day}NOT ({may_be(table, question)} & {other}))"


def subject_state_columns(question: TimeSlice) -> str:
    """The columns of `things t` and its `subjects s` that a state is made of."""
    return f"t.subject, t.collection, {claims('t', question)}, t.name, t.body, s.name, s.version, s.last, s.holds"


def claim(order: Sequence[str], status: int, possible_statuses: int, certain: int) -> dict[str, Any]:
    """A status as answered."""
    claimed: dict[str, Any] = {"status": order[status]}
    if possible_statuses & (possible_statuses - 1):
        claimed["statuses"] = [name for index, name in enumerate(order) if possible_statuses >> index & 1]
    claimed["certainty"] = "certain" if certain else "possible"
    return claimed


def membership_columns(table: str, question: TimeSlice) -> str:
    """The columns that `membership` takes."""
    return f"{table}.party_name, {table}.container_name, {claims(table, question)}, {table}.role, {table}.body"


def membership(row: Sequence[Any]) -> dict[str, Any]:
    """A tie as answered, from `membership_columns`."""
    party, container, status, possible_statuses, certain, role, stored = row
    told = decode_membership(stored)
    return {
        "party": Reference(party),
        "in": Reference(container),
        **claim(ORDER_OF_STATUSES, status, possible_statuses, certain),
        "category": told.pop("category"),
        **({} if role is None else roles_of(role)),
        **told,
    }


def list_item(row: Sequence[Any], question: TimeSlice, references: Sequence[str]) -> dict[str, Any]:
    """Return a list item as answered, from `claims` and the body; `references` are its fields that name subjects."""
    status, possible_statuses, certain, stored = row
    body = refer(orjson.loads(stored), references)
    if status is not None:
        body |= claim(STATUS_ORDER, status, possible_statuses, certain)
    elif question.on is not None and not certain:
        body["certainty"] = "possible"
    return body
