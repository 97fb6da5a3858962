"""The types of the answers that are made here and not in the views: mypy and the API document read them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from domain.payload import Position
from domain.values import Address, Pointer
from projections.annotations import Digits, Disputes, EvidenceByEvent, NotesByEvent
from projections.digests import VIEWS
from projections.engine.answer_fields import AsOf, EventPosition, EventVersion, Recorded, SubjectAddress
from projections.history import Patch
from service.schemas.events import EventAttributes

Hash = Annotated[str, Field(min_length=44, max_length=44)]
Data = Annotated[dict[str, Any], Field(description="As posted; absent once redacted.")]
Salt = Annotated[str, Field(description="Base64; `data_sha256` is the SHA-256 of salt and data.")]
Entry = Annotated[str, Field(description="The log entry, exactly as it is hashed.")]
Size = Annotated[int, Field(ge=0)]


class RecordedEvent(EventAttributes):
    """An event as it was recorded."""

    position: EventPosition
    version: EventVersion
    recorded: Recorded
    actor: Annotated[str, Field(description="The name of the key it was posted with.")]
    entry: Entry
    data: NotRequired[Data]
    salt: NotRequired[Salt]
    redacted: NotRequired[
        Annotated[Position, Field(description="The position of the event that had data and salt erased.")]
    ]
    about: NotRequired[
        Annotated[Position, Field(description="Once redacted: the position of the event that it was about, if any.")]
    ]


class ProvenEvent(TypedDict):
    """An event with the proof that it is in the log; all of one answer are against the same checkpoint."""

    entry: Entry
    proof: Annotated[str, Field(description="That it is in the log (C2SP tlog-proof).")]
    data: NotRequired[Data]
    salt: NotRequired[Salt]


class StateAnnotations(TypedDict):
    """The fields of a state beside those of its subject: disputes, evidence and proofs."""

    disputed: NotRequired[Disputes]
    evidence: NotRequired[EvidenceByEvent]
    notes: NotRequired[NotesByEvent]
    proofs: NotRequired[
        Annotated[
            dict[Digits, ProvenEvent],
            Field(
                description="With `proof=true`: the events that the state names, by position, each with the proof that"
                " it is in the log.",
                json_schema_extra={"additionalProperties": False},
            ),
        ]
    ]


class ProblemError(TypedDict):
    """One error; the pointer leads into the posted document."""

    pointer: Annotated[Pointer, Field(description="The place in the posted document; empty for the whole.")]
    detail: Annotated[str, Field(description="What is wrong there.")]
    parameter: NotRequired[Annotated[str, Field(description="The query parameter that has the error.")]]


class ProblemBody(TypedDict):
    """What went wrong (RFC 9457); `type` is the address of a page that explains it."""

    type: Annotated[Address, Field(description="The address of the page on this kind of problem.")]
    title: Annotated[str, Field(description="The name of this kind of problem.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: NotRequired[Annotated[str, Field(description="What went wrong this time.")]]
    errors: NotRequired[Annotated[list[ProblemError], Field(description="Every error, at most 100.")]]
    positions: NotRequired[Annotated[list[Position], Field(description="The events in the way.")]]
    line: NotRequired[Annotated[Position, Field(description="Of an import, the line that has the error.")]]
    request_id: NotRequired[Annotated[str, Field(description="Names the request in the registry's log.")]]


class Moment(TypedDict):
    """The two times of a state."""

    as_of: Annotated[Size, Field(description="The position.")]
    on: Annotated[str, Field(description="A day, or `any`.")]


_Difference = TypedDict(  # in this form for the keyword `from`
    "_Difference",
    {
        "subject": SubjectAddress,
        "position": Annotated[Size, Field(description="The later of the positions it knows of.")],
        "from": Annotated[Moment, Field(description="The times of the first state.")],
        "to": Annotated[Moment, Field(description="The times of the second state.")],
        "patch": Patch,
        "events": Annotated[
            list[Position], Field(description="Between two positions: those of the events recorded in between.")
        ],
    },
)


class DifferenceBody(_Difference):
    """What changed between two states of a subject."""

    more: NotRequired[Annotated[Address, Field(description="Where `events` was cut short, the address of the whole.")]]


class Erasure(TypedDict):
    """An event whose data was erased, and the event that had it erased."""

    position: EventPosition
    by: Annotated[Position, Field(description="The position of the event that had it erased.")]


class DigestsBody(TypedDict):
    """The digests of views as of a position."""

    position: AsOf
    digests: Annotated[
        dict[str, str],
        Field(description="The digest of each view."),
        WithJsonSchema(
            {
                "type": "object",
                "properties": {view: {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"} for view in VIEWS},
                "additionalProperties": False,
            }
        ),
    ]
    redacted: NotRequired[
        Annotated[
            list[Erasure],
            Field(
                description="Events up to the position whose data was erased after it, each with the event that had it"
                " erased. Before that the digests were others."
            ),
        ]
    ]


class Health(TypedDict):
    """That the process answers."""

    status: Annotated[Literal["ok"], Field(description="Always `ok`.")]


class Readiness(TypedDict):
    """That the registry can be read and posted to."""

    status: Annotated[Literal["ready"], Field(description="Always `ready`.")]
    position: NotRequired[Annotated[Size, Field(description="The position of the last event.")]]
    warnings: NotRequired[
        Annotated[
            list[str],
            Field(
                description="What an operator should look at although the registry answers, such as a clock that jumped"
                " or is behind the last recorded event."
            ),
        ]
    ]


class ConsistencyProof(TypedDict):
    """The proof that the log at one size is a beginning of the log at another."""

    old: Annotated[Size, Field(description="How many events the beginning has.")]
    size: Annotated[Size, Field(description="How many events the whole has.")]
    old_root: Annotated[Hash, Field(description="The root over the beginning, 32 bytes in base64.")]
    root: Annotated[Hash, Field(description="The root over the whole, 32 bytes in base64.")]
    hashes: Annotated[list[Hash], Field(description="The hashes of the proof, each 32 bytes in base64.")]
