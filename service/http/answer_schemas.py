"""JSON Schemas of the smaller pieces that answers are made of, receipts, problems and overviews among them, and what
they are all put together from. They describe what is answered; a test holds every answer against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from domain.quotation import Status
from domain.subject_state import STATUSES
from service.http.event_schemas import Schema, attributes, ref, subject

TEXT = ref("Text")
EDTF = ref("Edtf")
REFERENCE = ref("Reference")
STRING: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
POSITION: Schema = {"type": "integer", "minimum": 1}
CERTAINTY: Schema = {"enum": ["certain", "possible"]}
INSTANT: Schema = {"type": "string", "format": "date-time", "examples": ["2026-01-31T09:30:00.123456Z"]}


_COUNTED: Mapping[str, Schema] = {
    name: {"type": "object", "additionalProperties": COUNT} for name in ("status", "kind", "type", "year")
}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def one_of(values: Sequence[str]) -> Schema:
    return {"enum": list(values)}


def object_of(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, about: str = "") -> Schema:
    """An object that has all of the first members and may have the others."""
    described: Schema = {"description": about} if about else {}
    return described | {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


EVENTS = {**list_of(POSITION), "description": "The positions of the events that bear this."}
TIED: dict[str, Schema] = {"from": nullable(EDTF), "to": nullable(EDTF)}

QUOTED: Mapping[str, Schema] = {
    "start": COUNT,
    "end": COUNT,
    "exact": STRING,
    "translation": TEXT,
    "supports": list_of(ref("Pointer")),
    "note": TEXT,
}
CHECKED: Schema = {
    **one_of(tuple(Status)),
    "description": "Whether the text that is held of the document as of the question says it; without one, unverified.",
}

PIECES: Mapping[str, Schema] = {
    "Reference": object_of(
        {"subject": subject(), "name": nullable(TEXT)}, about="Another subject, with its name as of the question."
    ),
    "Disputed": object_of(
        {"pointer": ref("Pointer"), "value": {}, "position": POSITION, "event": POSITION},
        about="Another source says otherwise: the event at `position` claims `value` for a part of `event`.",
    ),
    "Passage": object_of(
        {"document": REFERENCE, "status": CHECKED},
        {
            **QUOTED,
            "event": {**POSITION, "description": "The position of the event that cites it."},
        },
        "A passage of a document that supports an event.",
    ),
    "Citation": object_of(
        {
            "status": CHECKED,
            "event": {**POSITION, "description": "The position of the event that cites it."},
            "fact": object_of(
                {"position": POSITION, "subject": REFERENCE, "type": STRING, "occurred": nullable(EDTF)},
                about="The event that it supports, as corrections leave it.",
            ),
        },
        QUOTED,
        "A passage of a document, and the fact that it supports.",
    ),
    "Receipt": object_of(
        {
            "position": POSITION,
            "id": STRING,
            "source": STRING,
            "subject": subject(),
            "version": POSITION,
            "recorded": INSTANT,
            "leaf": {"type": "string", "description": "The log entry's Merkle leaf hash, base64."},
        },
        about="What the poster of an event is given: its place in the log.",
    ),
    "RecordedEvent": object_of(
        {
            **{name: schema for name, schema in attributes().items() if name not in ("time", "occurred")},
            "position": POSITION,
            "version": POSITION,
            "recorded": INSTANT,
            "actor": {"type": "string", "description": "The name of the key it was posted with."},
            "entry": {"type": "string", "description": "The log entry, exactly as it is hashed."},
        },
        {
            "time": attributes()["time"],
            "occurred": attributes()["occurred"],
            "data": {"type": "object", "description": "As posted; absent once redacted."},
            "salt": {"type": "string", "description": "Base64; `data_sha256` is the SHA-256 of salt and data."},
            "redacted": {**POSITION, "description": "The position of the event that had data and salt erased."},
            "about": {**POSITION, "description": "Once redacted: the position of the event it spoke of, if any."},
        },
        "An event as it was recorded.",
    ),
    "ProvenEvent": object_of(
        {
            "entry": {"type": "string", "description": "The log entry, exactly as it is hashed."},
            "proof": {"type": "string", "description": "That it is in the log (C2SP tlog-proof)."},
        },
        {
            "data": {"type": "object", "description": "As posted; absent once redacted."},
            "salt": {"type": "string", "description": "Base64; `data_sha256` is the SHA-256 of salt and data."},
        },
        "An event with the proof that it is in the log; all of one answer are against the same checkpoint.",
    ),
    "Problem": object_of(
        {"type": {"type": "string", "format": "uri-reference"}, "title": STRING, "status": {"type": "integer"}},
        {
            "detail": STRING,
            "errors": list_of(
                object_of(
                    {"pointer": ref("Pointer"), "detail": STRING},
                    {"parameter": {"type": "string", "description": "The query parameter that is meant."}},
                    "One thing that is wrong; the pointer leads into the posted document.",
                )
            ),
            "positions": {**list_of(POSITION), "description": "The events in the way."},
            "line": {**POSITION, "description": "Of an import, the line that is meant."},
            "request_id": {"type": "string", "description": "Names the request in the registry's log."},
        },
        "What went wrong (RFC 9457); `type` is the address of a page that explains it.",
    ),
    "Graph": object_of(
        {
            "nodes": list_of(
                object_of(
                    {"subject": subject(), "name": nullable(TEXT), "collection": STRING},
                    {"kind": STRING, "status": STRING, "statuses": list_of(STRING), "certainty": CERTAINTY},
                )
            ),
            "edges": list_of(
                object_of(
                    {
                        "source": subject(),
                        "target": subject(),
                        "type": one_of(("party", "founder", "member", "supporter", "part-of", "under")),
                        "events": EVENTS,
                    },
                    {
                        "status": STRING,
                        "statuses": list_of(STRING),
                        "certainty": CERTAINTY,
                        "support": STRING,
                        "occurred": EDTF,
                        **TIED,
                    },
                )
            ),
            "truncated": {"type": "boolean", "description": "Whether there are more than `limit` subjects."},
            "position": COUNT,
        },
        about="Who is tied to whom and by what.",
    ),
    "Statistics": object_of(
        {
            **{name: ref("Counts") for name in (*STATUSES, "memberships", "commitments", "events")},
            "party": {
                **list_of(object_of({"party": REFERENCE, "ties": COUNT, "certain": COUNT, "possible": COUNT})),
                "description": "Those with the most ties, at most 100.",
            },
            "position": COUNT,
        },
        about="How much there is of everything.",
    ),
    "Counts": object_of(
        {"total": COUNT},
        {
            **_COUNTED,
            "certain": object_of({}, {"total": COUNT, **_COUNTED}, about="The same of what is certain."),
            "possible": object_of({}, {"total": COUNT, **_COUNTED}, about="The same of what is possible."),
        },
        about="How much there is; of a year, whether it is certain that it is that year.",
    ),
}

"""By component name."""
