"""Platforms: the lists inside their state, and the filters of their list."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.corrections import Fact
from domain.platform import PLATFORM, AdoptedKind, DocumentAdopted, Support, SupporterAdded
from domain.values import Edtf, Reference, Text
from projections.engine.filters import CERTAINTY, WORDS, Filter, SubjectOf, of_status
from projections.engine.item_lists import MemberItem, MembershipList, Terms, simple_list
from projections.engine.planner import Planner
from projections.engine.query_parts import places
from projections.engine.specification import subject_view
from projections.engine.time_slices import as_of_and_on, times


class SupporterItem(TypedDict):
    """A supporter of a platform."""

    party: Reference
    support: Support | None
    occurred: Annotated[Edtf | None, Field(description="When the support began.")]


def _supporter(fact: Fact) -> dict[str, SupporterItem]:
    data = fact.data
    assert isinstance(data, SupporterAdded)
    item: SupporterItem = {"party": Reference(data.party), "support": data.support, "occurred": fact.occurred}
    return {f"supporter:{fact.position}": item}


class AdoptedDocumentItem(TypedDict):
    """A document that a platform adopted."""

    title: Text
    kind: AdoptedKind
    occurred: Annotated[Edtf | None, Field(description="When it was adopted.")]


def _document(fact: Fact) -> dict[str, AdoptedDocumentItem]:
    data = fact.data
    assert isinstance(data, DocumentAdopted)
    return {f"document:{fact.position}": {"title": data.title, "kind": data.kind, "occurred": fact.occurred}}


SUPPORTERS = simple_list(
    "supporters",
    5,
    {"platform.supporter-added": _supporter},
    item=SupporterItem,
    terms=Terms("supporter", lambda value: [value["party"]["subject"]], are_subjects=True),
)
DOCUMENTS = simple_list("documents", 6, {"platform.document-adopted": _document}, item=AdoptedDocumentItem)


def _by_supporter(planner: Planner, party: str) -> None:
    group = planner.cluster(party)
    planner.query.add(
        "t.subject IN (SELECT r.subject FROM list_items r JOIN terms x ON x.owner = r.id WHERE x.kind = 'supporter'"
        f" AND x.value IN ({places(group)}) AND {as_of_and_on('r', planner.question)})",
        *map(str, group),
        *times(planner.question),
        narrow=True,
    )


PLATFORMS = subject_view(
    PLATFORM,
    lists=(
        MembershipList(name="members", fields=MemberItem, has_category=True, is_current=True),
        SUPPORTERS,
        DOCUMENTS,
    ),
    date_field="launched",
    filters=(
        WORDS,
        Filter(
            "member",
            SubjectOf(("parties",)),
            "A member.",
            lambda planner, values: planner.by_member(values[0]),
        ),
        Filter(
            "supporter",
            SubjectOf(("parties",)),
            "A supporter.",
            lambda planner, values: _by_supporter(planner, values[0]),
        ),
        of_status(PLATFORM.statuses),
        CERTAINTY,
    ),
)
