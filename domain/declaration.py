"""Declarations to agreements (reservations, declarations, objections): the data of their events."""

from __future__ import annotations

from typing import Literal

from domain.payload import Data, Position
from domain.values import Party, Text


class DeclarationMade(Data):
    party: Party
    kind: Literal["reservation", "declaration", "objection"]
    text: Text
    provision: Text | None = None


class DeclarationWithdrawn(Data):
    event: Position
