"""Platforms: the data of their events, and what each event does to a platform."""

from __future__ import annotations

from typing import Literal

from domain.event_type import Aggregate, Creates, EventType
from domain.payload import Data, Parties, Texts
from domain.values import Edtf, Party, Text


class PlatformLaunched(Data):
    name: Text
    place: Text | None = None
    purpose: Text | None = None
    directions: Texts | None = None
    convened_by: Parties | None = None
    target: Text | None = None
    target_date: Edtf | None = None


class MemberJoined(Data):
    party: Party
    category: Text | None = None


class MemberLeft(Data):
    party: Party


class SupporterAdded(Data):
    party: Party
    support: Literal["political", "research", "funding", "other"] | None = None


class DocumentAdopted(Data):
    title: Text
    kind: Literal["charter", "rules", "structure", "strategy", "other"]


class PlatformDissolved(Data):
    pass


PLATFORM = Aggregate(
    collection="platforms",
    statuses=("launched", "dissolved"),
    name_field="name",
    events=(
        EventType(
            name="platform.launched",
            data=PlatformLaunched,
            collection="platforms",
            rank=3,
            creates=Creates.ONCE,
            status="launched",
            date_field="launched",
            attributes=("name", "place", "purpose", "directions", "convened_by", "target", "target_date"),
        ),
        EventType(name="platform.member-joined", data=MemberJoined, collection="platforms", rank=29),
        EventType(name="platform.member-left", data=MemberLeft, collection="platforms", rank=30),
        EventType(name="platform.supporter-added", data=SupporterAdded, collection="platforms", rank=31),
        EventType(name="platform.document-adopted", data=DocumentAdopted, collection="platforms", rank=32),
        EventType(
            name="platform.dissolved",
            data=PlatformDissolved,
            collection="platforms",
            rank=35,
            ends=True,
            status="dissolved",
            date_field="dissolved",
            agreement_wide=True,
        ),
    ),
)
