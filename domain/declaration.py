"""Declarations to agreements (reservations, declarations, objections): the data of their events."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domain.payload import Data, Position
from domain.values import LongText, Party, Text

DeclarationKind = Literal["reservation", "declaration", "objection"]


class DeclarationMade(Data):
    """A party makes a reservation or declaration, or objects to one."""

    party: Party = Field(description="The party that declares.")
    kind: DeclarationKind = Field(description="What kind of declaration it is.")
    text: LongText | None = Field(None, description="The text, where it is known.")
    provision: Text | None = Field(None, description="The provision that it is about.")
    about: Position | None = Field(None, description="The position of the declaration that it objects to.")
    territory: Text | None = Field(None, description="The territory that it is about.")


class DeclarationWithdrawn(Data):
    """A declaration is withdrawn."""

    event: Position = Field(description="The position of the declaration.")
