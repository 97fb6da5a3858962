"""Platforms: the data of their events, and what each event does to a platform."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domain.event_type import Aggregate, Creates, EventType, Example
from domain.payload import Data, Parties, Platforms, Texts
from domain.values import Edtf, Party, Text

Support = Literal["political", "research", "funding", "other"]
AdoptedKind = Literal["charter", "rules", "structure", "strategy", "other"]


class PlatformLaunched(Data):
    """A platform starts to exist."""

    name: Text = Field(description="The name it goes by.")
    place: Text | None = Field(None, description="Where it was launched.")
    purpose: Text | None = Field(None, description="What it is for.")
    directions: Texts | None = Field(None, description="The directions of its work.")
    convened_by: Parties | None = Field(None, description="The parties that convened it.")
    target: Text | None = Field(None, description="What it wants to reach.")
    target_date: Edtf | None = Field(None, description="When it wants to reach its target.")


class MemberJoined(Data):
    """A party becomes a member of a platform."""

    party: Party = Field(description="The party that joins.")
    category: Text | None = Field(None, description="The category of the membership, such as full or associate.")


class MemberChanged(Data):
    """The category of a membership changes, as from associate to full. The membership goes on."""

    party: Party = Field(description="The party whose membership changes.")
    category: Text = Field(description="The category from that day on.")


class MemberLeft(Data):
    """A party is no longer a member of a platform."""

    party: Party = Field(description="The party that leaves.")


class SupporterAdded(Data):
    """A party supports a platform, without being a member by that."""

    party: Party = Field(description="The party that supports it.")
    support: Support | None = Field(None, description="What kind of support it gives.")


class DocumentAdopted(Data):
    """A platform adopts a document of its own, such as a charter."""

    title: Text = Field(description="The title of the document.")
    kind: AdoptedKind = Field(description="What kind of document it is.")


class PlatformDissolved(Data):
    """A platform ends. Its memberships end on that day."""

    successors: Platforms | None = Field(None, description="The platforms that succeed it, none of them itself.")


PLATFORM = Aggregate(
    collection="platforms",
    description="A platform, with its members, supporters and documents.",
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
            example=Example(
                "platforms/clean-ports", {"name": "Clean Ports", "convened_by": ["parties/north-harbour"]}, "2021-03-01"
            ),
        ),
        EventType(
            name="platform.member-joined",
            data=MemberJoined,
            collection="platforms",
            rank=29,
            example=Example(
                "platforms/clean-ports", {"party": "parties/north-harbour", "category": "observer"}, "2021-04-01"
            ),
        ),
        EventType(
            name="platform.member-left",
            data=MemberLeft,
            collection="platforms",
            rank=30,
            example=Example("platforms/clean-ports", {"party": "parties/north-harbour"}, "2023-01-01"),
        ),
        EventType(
            name="platform.supporter-added",
            data=SupporterAdded,
            collection="platforms",
            rank=31,
            example=Example("platforms/clean-ports", {"party": "parties/atland", "support": "funding"}, "2021-05-01"),
        ),
        EventType(
            name="platform.document-adopted",
            data=DocumentAdopted,
            collection="platforms",
            rank=32,
            example=Example("platforms/clean-ports", {"title": "Charter", "kind": "charter"}, "2021-06-01"),
        ),
        EventType(
            name="platform.member-changed",
            data=MemberChanged,
            collection="platforms",
            rank=44,
            example=Example(
                "platforms/clean-ports", {"party": "parties/north-harbour", "category": "full"}, "2022-01-01"
            ),
        ),
        EventType(
            name="platform.dissolved",
            data=PlatformDissolved,
            collection="platforms",
            rank=35,
            ends=True,
            status="dissolved",
            date_field="dissolved",
            attributes=("successors",),
            agreement_wide=True,
            example=Example("platforms/clean-ports", {}, "2025-01-01"),
        ),
    ),
)
