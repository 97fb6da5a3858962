"""Commitments of agreements: the data of their events."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from domain.payload import Data, Parties, Record, flawed
from domain.values import Currency, Decimal, Edtf, Slug, Text

CommitmentKind = Literal["facility", "investment", "research", "talent", "target", "other"]
CommitmentStatus = Literal["planned", "in-progress", "fulfilled", "breached", "cancelled"]


class Amount(Record):
    """An amount of money, or of something else in a unit."""

    value: Decimal = Field(description="The number, as a decimal string.")
    currency: Currency | None = Field(None, description="The currency (ISO 4217), of an amount of money.")
    unit: Text | None = Field(None, description="The unit, of any other amount.")

    @model_validator(mode="after")
    def _of_one(self) -> Amount:
        if (self.currency is None) == (self.unit is None):
            raise flawed("", "an amount has a currency or a unit")
        return self


class CommitmentMade(Data):
    """Parties of an agreement commit themselves to something."""

    commitment: Slug = Field(description="The slug of the commitment within the agreement.")
    kind: CommitmentKind = Field(description="What kind of commitment it is.")
    title: Text = Field(description="What is committed to.")
    by: Parties | None = Field(None, description="The parties that commit themselves.")
    with_: Parties | None = Field(None, alias="with", description="The parties to which they commit themselves.")
    place: Text | None = Field(None, description="Where it is to be done.")
    due: Edtf | None = Field(None, description="When it is to be done.")
    amount: Amount | None = Field(None, description="How much of it.")


class CommitmentUpdated(Data):
    """A commitment changes its status, also after the end of its agreement."""

    commitment: Slug = Field(description="The slug of the commitment within the agreement.")
    status: CommitmentStatus = Field(description="The status from that day on.")
