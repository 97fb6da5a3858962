"""JSON Schemas of what is asked for: states, items of lists, entries of the lists inside states. They describe what the
views make; a test holds every answer against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from domain.agreement import AgreementKind
from domain.catalogue import CATALOGUE
from domain.commitment import CommitmentKind
from domain.list_items import CALL_STATUSES, COMMITMENT_STATUSES, DECLARATION_STATUSES, PHASE_STATUSES
from domain.membership import ORDER_OF_STATUSES
from domain.party import PartyKind
from domain.subject_state import STATUSES
from projections.annotations import DISPUTED
from projections.catalogue import SUBJECT_VIEWS
from service.http.answer_schemas import (
    CERTAINTY,
    COUNT,
    EDTF,
    EVENTS,
    INSTANT,
    PIECES,
    POSITION,
    REFERENCE,
    STRING,
    TEXT,
    TIED,
    list_of,
    nullable,
    object_of,
    one_of,
)
from service.http.event_schemas import Schema, ref, subject

_EVIDENCE: Schema = {
    "type": "object",
    "description": "With `evidence=full`: the cited passages, by the position of the event they support.",
    "patternProperties": {"^[0-9]+$": list_of(ref("Passage"))},
    "additionalProperties": False,
}
_PROOFS: Schema = {
    "type": "object",
    "description": "With `proof=true`: the events that the state names, by position, each proven to be in the log.",
    "patternProperties": {"^[0-9]+$": ref("ProvenEvent")},
    "additionalProperties": False,
}
_ADDRESS: Schema = {"type": "string", "format": "uri-reference"}
_DISPUTED: Mapping[str, Schema] = {
    "disputed": list_of(ref("Disputed")),
    "more": {
        **object_of({}, {"disputed": _ADDRESS}),
        "description": "Where its disputes are cut short, the address of all of them.",
    },
}
_SHOWN_BESIDE = {**_DISPUTED, "evidence": _EVIDENCE}


def _claim(statuses: Sequence[str]) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """The members of whatever has a status: those always there, those there where readings differ."""
    status = {**one_of(statuses), "description": "Each imprecise date taken at its earliest."}
    return {"status": status, "certainty": CERTAINTY}, {"statuses": list_of(one_of(statuses))}


def _state(collection: str, required: Mapping[str, Schema], optional: Mapping[str, Schema], about: str) -> Schema:
    always, differing = _claim(STATUSES[collection])
    lists = {name: list_of(ref(entry_name(collection, name))) for name in SUBJECT_VIEWS[collection].by_name}
    if collection == "parties":
        lists["other_names"] = list_of(TEXT)
    own = {**required, **optional}
    return object_of(
        {
            "subject": subject(collection),
            "version": {**COUNT, "description": "Of the subject's last event; the `ETag` begins with it."},
            "position": {**POSITION, "description": "Of the subject's last event."},
            **always,
            **lists,
            "events": {
                "type": "object",
                "description": "For each fact the positions of the events that bear it.",
                "properties": dict.fromkeys((*own, "status", "other_names"), EVENTS),
            },
        },
        {
            **own,
            **differing,
            **_SHOWN_BESIDE,
            "proofs": _PROOFS,
            "more": {
                "type": "object",
                "description": "Where a list was cut short, the address of the whole.",
                "properties": dict.fromkeys((*SUBJECT_VIEWS[collection].by_name, DISPUTED), _ADDRESS),
            },
        },
        about,
    )


def entry_name(collection: str, section: str) -> str:
    """The component that an entry of a list inside a state is."""
    return f"{collection}.{section}"


def _entry(
    required: Mapping[str, Schema], optional: Mapping[str, Schema], statuses: Sequence[str] = (), about: str = ""
) -> Schema:
    always, differing = _claim(statuses) if statuses else ({}, {"certainty": CERTAINTY})
    return object_of({**required, **always, "events": EVENTS}, {**optional, **differing, **_SHOWN_BESIDE}, about)


_COMMITMENT: tuple[dict[str, Schema], dict[str, Schema]] = (
    {"commitment": STRING, "kind": one_of(get_args(CommitmentKind)), "title": TEXT},
    {
        "by": list_of(REFERENCE),
        "with": list_of(REFERENCE),
        "place": TEXT,
        "due": EDTF,
        "amount": ref("Amount"),
        "made": EDTF,
    },
)
_STEPS = list_of(
    object_of(
        {"type": STRING, "occurred": nullable(EDTF), "events": EVENTS},
        {
            "effective": EDTF,
            "instrument": STRING,
            "territory": {**TEXT, "description": "Of a consent: the territory to which it extends."},
            "place": {**TEXT, "description": "Of a signature: where it was signed."},
            "with": {
                **list_of(REFERENCE),
                "description": "Of an entry into force: the parties with which alone it is in force.",
            },
            "category": {**TEXT, "description": "Of a change of category: the category from then on."},
        },
    )
)

_ROLES: Mapping[str, Schema] = {
    "role": {**TEXT, "description": "The role in which it signed; of several the first."},
    "roles": {**list_of(TEXT), "description": "Every role in which it signed, if there are several."},
}

_ENTRIES: Mapping[str, Schema] = {
    "parties.other_names": _entry({"name": TEXT}, {}, about="A name a party bears beside the one it goes by."),
    "parties.identifiers": _entry({"scheme": STRING, "value": STRING}, {}),
    "agreements.parties": _entry(
        {"party": REFERENCE, **TIED, "steps": _STEPS},
        _ROLES,
        ORDER_OF_STATUSES,
        "A party to an agreement, with each of its steps.",
    ),
    "agreements.commitments": _entry(*_COMMITMENT, COMMITMENT_STATUSES),
    "agreements.declarations": _entry(
        {"event": POSITION, "party": REFERENCE, "kind": STRING},
        {
            "text": ref("LongText"),
            "provision": TEXT,
            "about": {**POSITION, "description": "The position of the declaration that it objects to."},
            "territory": TEXT,
            "made": EDTF,
            "withdrawn": EDTF,
        },
        DECLARATION_STATUSES,
    ),
    "agreements.amendments": _entry(
        {"summary": TEXT},
        {
            "title": TEXT,
            "scope_added": list_of(TEXT),
            "scope_removed": list_of(TEXT),
            "until": EDTF,
            "by": REFERENCE,
            "occurred": EDTF,
        },
    ),
    "labs.founders": _entry({"subject": subject("parties"), "name": nullable(TEXT), **TIED}, {}, ORDER_OF_STATUSES),
    "labs.phases": _entry(
        {"phase": STRING},
        {
            "title": TEXT,
            "duration": STRING,
            "after": list_of(STRING),
            "waits_for": {
                **list_of(STRING),
                "description": "The phases that must still be completed before it starts.",
            },
            "started": EDTF,
            "completed": EDTF,
        },
        PHASE_STATUSES,
    ),
    "labs.calls": _entry(
        {"call": STRING, "role": TEXT},
        {
            "positions": ref("Vacancies"),
            "fields": list_of(TEXT),
            "place": TEXT,
            "opened": EDTF,
            "closed": EDTF,
            "hired": COUNT,
        },
        CALL_STATUSES,
    ),
    "platforms.members": _entry({"party": REFERENCE, "category": nullable(TEXT), **TIED}, {}, ORDER_OF_STATUSES),
    "platforms.supporters": _entry({"party": REFERENCE}, {"support": STRING, "occurred": EDTF}),
    "platforms.documents": _entry({"title": TEXT, "kind": STRING}, {"occurred": EDTF}),
}

_THINGS: Mapping[str, Schema] = {
    "parties": _state(
        "parties",
        {"name": TEXT, "kind": one_of(get_args(PartyKind))},
        {
            "jurisdiction": STRING,
            "part_of": REFERENCE,
            "successors": list_of(REFERENCE),
            "founded": {**EDTF, "description": "When it came about: `occurred` of its registration."},
            "dissolved": EDTF,
        },
        "A party: a company, a state, an institute or whoever else agrees to something.",
    ),
    "agreements": _state(
        "agreements",
        {"title": TEXT, "kind": one_of(get_args(AgreementKind))},
        {
            "under": REFERENCE,
            "scope": list_of(TEXT),
            "place": TEXT,
            "summary": TEXT,
            "until": EDTF,
            "other_titles": list_of(TEXT),
            "languages": list_of(STRING),
            "depositary": REFERENCE,
            "secretariat": REFERENCE,
            "adopted": EDTF,
            "signed": EDTF,
            "entered_into_force": EDTF,
            "terminated": EDTF,
            "reason": STRING,
            "superseded_by": REFERENCE,
        },
        "An agreement, with its parties and what they committed themselves to.",
    ),
    "labs": _state(
        "labs",
        {"name": TEXT},
        {
            "under": REFERENCE,
            "place": TEXT,
            "fields": list_of(TEXT),
            "founded": EDTF,
            "opened": EDTF,
            "closed": EDTF,
        },
        "A laboratory, with its phases and calls.",
    ),
    "platforms": _state(
        "platforms",
        {"name": TEXT},
        {
            "place": TEXT,
            "purpose": TEXT,
            "directions": list_of(TEXT),
            "convened_by": list_of(REFERENCE),
            "target": TEXT,
            "target_date": EDTF,
            "launched": EDTF,
            "dissolved": EDTF,
            "successors": list_of(REFERENCE),
        },
        "A platform, with its members and supporters.",
    ),
    "documents": _state(
        "documents",
        {"title": TEXT},
        {
            "sha256": STRING,
            "citation": TEXT,
            "publisher": TEXT,
            "language": STRING,
            "published": EDTF,
            "url": STRING,
            "original": ref("Original"),
            "text": object_of({"characters": COUNT}, about="That its text is held, in Unicode code points."),
        },
        "A document that passages are cited from.",
    ),
}

_PATCH: Schema = {
    "type": "array",
    "description": "The change to the state (RFC 6902), without the names of others; from null at first.",
    "items": object_of({"op": STRING, "path": STRING}, {"value": {}, "from": STRING}, "One operation of RFC 6902."),
}

_OTHER_ITEMS: Mapping[str, Schema] = {
    "memberships": _entry(
        {"party": REFERENCE, "in": REFERENCE, "category": nullable(TEXT), **TIED, "steps": _STEPS},
        _ROLES,
        ORDER_OF_STATUSES,
        "A party in an agreement, a lab or a platform, over one interval.",
    ),
    "commitments": _entry({"agreement": REFERENCE, **_COMMITMENT[0]}, _COMMITMENT[1], COMMITMENT_STATUSES),
    "timeline": _entry(
        {
            "position": POSITION,
            "subject": REFERENCE,
            "type": one_of([name for name, kind in CATALOGUE.items() if kind.collection]),
            "occurred": nullable(EDTF),
            "certainty": CERTAINTY,
            "data": {"type": "object"},
            "source": STRING,
            "id": STRING,
            "recorded": INSTANT,
        },
        {},
        about="What happened, as corrections leave it.",
    ),
    "history": object_of(
        {
            "position": POSITION,
            "version": POSITION,
            "subject": REFERENCE,
            "type": one_of(tuple(CATALOGUE)),
            "source": STRING,
            "id": STRING,
            "time": nullable(STRING),
            "occurred": nullable(EDTF),
            "recorded": INSTANT,
            "actor": STRING,
            "data": {"type": "object"},
            "evidence": list_of(ref("Passage")),
            "events": EVENTS,
            "patch": _PATCH,
        },
        {
            **_DISPUTED,
            "redacted": {**POSITION, "description": "The position of the event that had the data erased."},
        },
        about="An event as it was recorded, and the change it made to the state.",
    ),
    "Difference": object_of(
        {
            "subject": subject(),
            "position": {**COUNT, "description": "The later of the positions it knows of."},
            "from": ref("Moment"),
            "to": ref("Moment"),
            "patch": _PATCH,
            "events": {**EVENTS, "description": "Between two positions: those of the events recorded in between."},
        },
        {
            "more": {
                "type": "string",
                "format": "uri-reference",
                "description": "Where `events` was cut short, the address of the whole.",
            }
        },
        "What changed between two states of a subject.",
    ),
    "Moment": object_of(
        {"as_of": COUNT, "on": {**STRING, "description": "A day, or `any`."}}, about="The two times of a state."
    ),
    "resolve": object_of(
        {"subject": subject("parties"), "name": nullable(TEXT), "matched": STRING, "score": {"type": "number"}}
    ),
    "search": object_of({"subject": subject(), "name": nullable(TEXT), "snippet": STRING, "score": {"type": "number"}}),
}

PARTS: Mapping[str, Schema] = {**PIECES, **_ENTRIES, **_THINGS, **_OTHER_ITEMS}
"""Every component that answers are made of, by its name."""


def page_of(item: Schema) -> Schema:
    """One page of a list."""
    return object_of(
        {
            "items": list_of(item),
            "next": {
                **nullable({"type": "string", "format": "uri-reference"}),
                "description": "The address of the next page; null at the end.",
            },
            "position": {**COUNT, "description": "The position the list is as of."},
        }
    )


_PAGE = page_of(ref("Citation"))
CITED: Schema = {
    **_PAGE,
    "properties": {
        **_PAGE["properties"],
        "used": object_of(
            {
                "characters": COUNT,
                "of": {**nullable(COUNT), "description": "Of the document's text; null where it is not held."},
                "share": nullable({"type": "number"}),
            },
            about="How many characters of the document lie within passages that stand, of the whole list.",
        ),
    },
    "required": [*_PAGE["required"], "used"],
}
"""One page of the passages of a document."""
