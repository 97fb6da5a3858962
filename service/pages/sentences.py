"""Sentences: each fact as one sentence, by its type, with links to the subjects that it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from service.pages.wording import Wording

Link = Callable[[Mapping[str, Any]], Markup]
"""Returns a link to a subject with its name, from `{"subject", "name"}`."""

SENTENCES: Mapping[str, str] = {
    "party.registered": "{subject} is recorded as a party: {kind}.",
    "party.renamed": "{subject} took the name {name}.",
    "party.name-added": "{subject} is also called {name}.",
    "party.identified": "{subject} has the identifier {value} ({scheme}).",
    "party.reorganized": "{subject} became part of {part_of}.",
    "party.merged": "{subject} was found to be the same party as {into}.",
    "party.dissolved": "{subject} was dissolved.",
    "party.re-established": "{subject} exists again.",
    "party.owner-added": "{owner} became an owner of {subject}.",
    "party.owner-removed": "{owner} is no longer an owner of {subject}.",
    "agreement.announced": "{subject} was announced.",
    "agreement.adopted": "{subject} was adopted.",
    "agreement.signed": "{parties} signed {subject}.",
    "agreement.ratified": "{party} ratified {subject}.",
    "agreement.acceded": "{party} acceded to {subject}.",
    "agreement.entered-into-force": "{subject} entered into force.",
    "agreement.amended": "{subject} was amended: {summary}",
    "agreement.renewed": "{subject} was renewed.",
    "agreement.provisionally-applied": "{subject} was applied provisionally.",
    "agreement.suspended": "{subject} was suspended.",
    "agreement.resumed": "{subject} was resumed.",
    "agreement.withdrawn": "{party} gave notice of withdrawal from {subject}.",
    "agreement.withdrawal-revoked": "{party} revoked its notice of withdrawal from {subject}.",
    "agreement.reinstated": "{subject} is in force again.",
    "agreement.terminated": "{subject} ended: {reason}.",
    "agreement.declaration-made": "{party} made a {kind} to {subject}.",
    "agreement.declaration-withdrawn": "A declaration to {subject} was withdrawn.",
    "agreement.commitment-made": "Under {subject}, a commitment was made: {title}.",
    "agreement.commitment-updated": "The commitment “{commitment}” under {subject} is now: {status}.",
    "lab.founded": "{founders} founded {subject}.",
    "lab.opened": "{subject} began to work.",
    "lab.phase-started": "The phase “{phase}” of {subject} started.",
    "lab.phase-completed": "The phase “{phase}” of {subject} was completed.",
    "lab.recruitment-opened": "{subject} opened a call: {role}.",
    "lab.recruitment-closed": "{subject} closed the call “{call}”.",
    "lab.closed": "{subject} was closed.",
    "platform.launched": "{subject} was launched.",
    "platform.member-joined": "{party} joined {subject}.",
    "platform.member-changed": "In {subject}, the category of {party} is now: {category}.",
    "platform.member-left": "{party} left {subject}.",
    "platform.supporter-added": "{party} supports {subject}.",
    "platform.document-adopted": "{subject} adopted a document: {title}.",
    "platform.dissolved": "{subject} was dissolved.",
    "document.registered": "The document {subject} was registered.",
    "document.text-stored": "The text of {subject} was stored.",
    "document.text-erased": "The text of {subject} was erased.",
    "evidence.added": "Evidence was added to entry {event}.",
    "event.corrected": "Entry {event} was corrected: {reason}",
    "event.retracted": "Entry {event} was retracted: {reason}",
    "event.disputed": "Another source contradicts entry {event}.",
    "event.redacted": "The data of entry {event} was erased: {reason}",
}
"""By type: the sentence, with members of the data as values."""
VARIANTS: Mapping[tuple[str, str], str] = {
    ("platform.member-joined", "category"): "{party} joined {subject} as {category}.",
    ("platform.supporter-added", "support"): "{party} supports {subject} ({support}).",
    ("agreement.entered-into-force", "party"): "{subject} entered into force for {party}.",
    ("agreement.provisionally-applied", "party"): "{subject} was applied provisionally by {party}.",
    ("agreement.suspended", "party"): "{subject} was suspended for {party}.",
    ("agreement.resumed", "party"): "{subject} was resumed for {party}.",
    ("agreement.commitment-made", "by"): "Under {subject}, {by} committed to: {title}.",
    ("agreement.reinstated", "party"): "{subject} is in force again for {party}.",
    ("party.owner-added", "share"): "{owner} became an owner of {subject} ({share} %).",
    ("agreement.terminated", "superseded_by"): "{subject} was superseded by {superseded_by}.",
    ("party.dissolved", "successors"): "{subject} was dissolved; its successors are {successors}.",
    ("platform.dissolved", "successors"): "{subject} was dissolved; its successors are {successors}.",
}
"""By type and a member that is present: a fuller sentence."""
VALUES: Mapping[tuple[str, str, str | None], str] = {
    ("party.reorganized", "part_of", None): "{subject} is no longer part of another party.",
    ("agreement.declaration-made", "kind", "objection"): "{party} objected to a declaration under {subject}.",
    ("agreement.terminated", "reason", "expired"): "{subject} expired.",
    ("agreement.terminated", "reason", "completed"): "{subject} was completed.",
    ("agreement.terminated", "reason", "terminated"): "{subject} was terminated.",
}
"""By type, a member and its value: a sentence of its own."""
_TWO_STOPS = re.compile(r"\.((?:</[a-z]+>)*)\.$")
_CODES = frozenset(("kind", "status", "reason", "support", "instrument"))
"""Members of a closed choice."""


def sentence(fact: Mapping[str, Any], wording: Wording, link: Link) -> Markup:
    """Return a fact as a sentence. `fact` has `type`, `subject` and `data`, with references as `{"subject", "name"}`.

    A fact without data, which was erased, gives the sentence that says so.
    """
    data: Mapping[str, Any] | None = fact.get("data")
    subject = link(fact["subject"])
    if data is None:
        return wording.text("What was recorded about {subject} here was erased.", subject=subject)
    values = {name: _value(name, value, fact["type"], wording, link) for name, value in data.items()}
    message = SENTENCES.get(fact["type"])
    for (kind, member), fuller in VARIANTS.items():
        if kind == fact["type"] and data.get(member):
            message = fuller
    if message is None:
        return wording.text("{type}: {subject}", type=wording.code(fact["type"]), subject=subject)
    for (kind, member, value), own in VALUES.items():
        if kind == fact["type"] and data.get(member) == value:
            message = own
    made = wording.text(message, **{**_absent(message), **values, "subject": subject})
    return Markup(_TWO_STOPS.sub(r".\1", str(made)))  # noqa: S704 - markup without one full stop


def _absent(message: str) -> dict[str, str]:
    """Return a dash for every value of a message, for members that are absent."""
    return {part.split("}")[0]: "–" for part in message.split("{")[1:]}


def _value(name: str, value: Any, kind: str, wording: Wording, link: Link) -> object:
    match value:
        case {"subject": str()}:
            return link(value)
        case {"party": {"subject": str()}}:
            return link(value["party"])
        case [*parts] if name in ("parties", "by", "with", "founders", "successors", "convened_by"):
            return wording.list(_value("", part, kind, wording, link) for part in parts)
        case str() if name in _CODES and not kind.startswith("event."):
            return wording.code(value)
        case str() | dict():
            return wording.name(value)
    return value
