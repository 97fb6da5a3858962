"""Commitments of agreements: the data of their events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from domain.payload import Data, Parties, Record
from domain.values import Currency, Decimal, Edtf, Slug, Text

CommitmentKind = Literal["facility", "investment", "research", "talent", "target", "other"]
CommitmentStatus = Literal["planned", "in-progress", "fulfilled", "cancelled"]


class Amount(Record):
    value: Decimal
    currency: Currency


class CommitmentMade(Data):
    commitment: Slug
    kind: CommitmentKind
    title: Text
    by: Parties | None = None
    with_: Annotated[Parties | None, Field(alias="with")] = None
    place: Text | None = None
    due: Edtf | None = None
    amount: Amount | None = None


class CommitmentUpdated(Data):
    commitment: Slug
    status: CommitmentStatus
