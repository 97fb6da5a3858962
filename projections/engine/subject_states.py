"""Subject states as rows: the columns of a period of a subject's state."""

from __future__ import annotations

import orjson

from domain.edtf import span_of
from domain.membership import Lifespan
from domain.subject_state import StatePeriod
from domain.values import texts_of
from projections.engine.bitemporal import COLLECTIONS
from projections.engine.buffer import Row
from projections.engine.row_codecs import encode_subject_state, possible_statuses_mask
from projections.engine.specification import SubjectView

_SORTED_CHARACTERS = 200
"""Characters of a name that subjects are sorted by."""


def subject_state_row(view: SubjectView, period: StatePeriod, lifespan: Lifespan, signed: int, ref: int | None) -> Row:
    """Return the columns of a row after its subject.

    `signed` is the last day on which an agreement may have been signed; `ref` is the subject that the state refers to.
    """
    order, fields = view.aggregate.statuses, period.fields
    name = fields.get(view.aggregate.name_field)
    span = lifespan.creation if view.date_field is None else span_of(fields.get(view.date_field))
    upto = span.hi
    if view.name == "agreements":
        upto = min(upto, signed) if "signed" in period.provenance else -1
    return (
        COLLECTIONS.index(view.name),
        period.valid_from,
        period.valid_to,
        int(period.is_final_period),
        order.index(period.status),
        possible_statuses_mask(period.statuses, order),
        int(period.is_certain),
        possible_statuses_mask(period.final_statuses, order),
        fields.get("kind"),
        fields.get("jurisdiction"),
        next(iter(texts_of(name)), "").casefold()[:_SORTED_CHARACTERS],
        span.sort_key[0],
        upto,
        ref,
        orjson.dumps(name),
        encode_subject_state(fields, period.provenance),
    )
