"""Parties named in a form: which are not recorded, what may be meant, and the way to register one and come back.

The form that waits travels with the form of the new party as a hidden field, so nothing that was filled in is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize
from uuid import uuid4

import orjson

from domain.values import SLUG
from projections.engine.chinese import syllables_of
from projections.engine.query_types import Gone, Merged, NotFound, TimeSlice
from projections.reader import Reader
from service.http.operations import MAX_VALUE
from service.pages.forms import Field, flattened
from service.problems import Kind, Problem

REGISTERING = "party.registered"
WAITING = "waiting"
"""The hidden field with the form that waits."""
PARTIES = "parties"
_PARTY = re.compile(rf"{PARTIES}/{SLUG}", re.ASCII)
_NO_SLUG = re.compile(r"[^a-z0-9]+")
_HAN = re.compile(r"[一-鿿]+")
_LONGEST_SLUG = 100
_MOST_OFFERS = 20
_SIMILAR = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """A name in a form that is no recorded party, and the parties that it may mean."""

    text: str
    similar: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class WaitingForm:
    """A form of a type of event that waits until the party `text`, which is a line of its field, is registered."""

    type: str
    field: str
    text: str
    form: dict[str, str]

    def encoded(self) -> str:
        """Return the value of the hidden field."""
        shown = {"type": self.type, "field": self.field, "text": self.text, "form": self.form}
        return orjson.dumps(shown).decode()

    def filled_in(self, party: str) -> dict[str, str]:
        """Return the form with a party in the place of the text."""
        return with_party(self.form, self.field, self.text, party)


def waiting_form(form: Mapping[str, str], types: Iterable[str]) -> WaitingForm | None:
    """Return the form that waits for this one; None if there is none. Raise a 400 problem for anything else."""
    if not (given := form.get(WAITING)):
        return None
    try:
        found = WaitingForm(**orjson.loads(given))
        texts = [found.type, found.field, found.text, *found.form.values()]
        if found.type in types and all(isinstance(each, str) for each in texts):
            return found
    except (TypeError, AttributeError, orjson.JSONDecodeError):
        pass
    raise Problem(Kind.MALFORMED, "the form that waits for this one is not in the form in which it was sent")


def offers(fields: Iterable[Field], reader: Reader, question: TimeSlice) -> dict[str, Offer]:
    """Return the first name of each field that is no recorded party, by field, with parties of similar names."""
    found: dict[str, Offer] = {}
    for field in flattened(fields):
        if field.collection != PARTIES:
            continue
        if (text := first_unknown(field.value, reader, question.as_of)) is not None and len(found) < _MOST_OFFERS:
            found[field.name] = Offer(text, _similar(text, reader, question))
    return found


def _similar(text: str, reader: Reader, question: TimeSlice) -> list[dict[str, Any]]:
    """Return the parties that a name may mean, or else those with its words; none for a text longer than a query."""
    if len(text) > MAX_VALUE:
        return []
    if named := reader.resolve(text, question, limit=_SIMILAR):
        return named
    return reader.search(text, question, limit=_SIMILAR, after=None, collection=PARTIES).items


def first_unknown(value: str, reader: Reader, as_of: int) -> str | None:
    """Return the first line of the value of a field that is no recorded party; None if there is none."""
    lines = (line.strip() for line in value.splitlines())
    return next(
        (line for line in lines if line not in ("", f"{PARTIES}/") and not _is_party(line, reader, as_of)), None
    )


def _is_party(text: str, reader: Reader, as_of: int) -> bool:
    if not _PARTY.fullmatch(text):
        return False
    try:
        reader.check_exists(text, as_of)
    except Merged:
        return True
    except (NotFound, Gone):
        return False
    return True


def with_party(form: Mapping[str, str], field: str, text: str, party: str) -> dict[str, str]:
    """Return a form with a party in the place of a line of a field."""
    lines = [party if line.strip() == text else line for line in form.get(field, "").splitlines()]
    return {**form, field: "\n".join(lines)}


def form_of_new_party(text: str, source: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the attributes and the data that the form of a new party begins with, from the text that named it."""
    filled = {"source": source, "id": str(uuid4())}
    if _PARTY.fullmatch(text):
        return {**filled, "subject": text}, {}
    name: Any = {"zh": text} if _HAN.search(text) else text
    return {**filled, "subject": f"{PARTIES}/{_slug(text)}"}, {"name": name} if text else {}


def _slug(name: str) -> str:
    """Return a slug for a name, with Chinese in pinyin; empty for a name of other scripts."""
    spelled = _HAN.sub(lambda run: f" {' '.join(syllables_of(run[0]))} ", name)
    plain = normalize("NFKD", spelled).encode("ascii", "ignore").decode().lower()
    return _NO_SLUG.sub("-", plain).strip("-")[:_LONGEST_SLUG].strip("-")
