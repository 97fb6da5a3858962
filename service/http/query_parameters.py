"""Query parameters: the two times of a query, its limit and its cursor. A cursor fixes both times, so that the pages of
one list agree while events arrive. Reads no clock and no view."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from domain.edtf import AFTER, BEFORE
from domain.values import MAX_INTEGER
from projections.engine.query_types import BadQuestion, TimeSlice
from service import question_times
from service.http.operations import Parameter, Values
from service.question_times import INSTANT, POSITION, Now, read_times

LIMIT = 50
MAX_LIMIT = 1000

AS_OF = Parameter(
    question_times.AS_OF,
    "The registry as it was known at a position or an RFC 3339 instant. Default: now.",
    {"type": "string", "examples": ["12", "2026-01-31T09:30:00Z"]},
)
ON = Parameter(
    question_times.ON,
    "What was so in the world on a day, `YYYY-MM-DD`; `any`: on any day. Default: today (UTC).",
    {"anyOf": [{"const": "any"}, {"type": "string", "format": "date"}], "examples": ["2024-01-21", "any"]},
)
ON_ANY = Parameter(question_times.ON, ON.description.replace("today (UTC)", "`any`"), ON.schema)
FROM = Parameter(
    "from",
    "Answers the difference between two states instead of the list. The first: a position or an RFC 3339 instant, to"
    " compare what was known, or a day, `YYYY-MM-DD`, to compare what held.",
    {"type": "string", "examples": ["1", "2026-01-31T09:30:00Z", "2024-01-21"]},
)
TO = Parameter(
    "to",
    "The second, a day where `from` is one. Default: now, or today. It may lie before `from`.",
    FROM.schema,
)
LIMITED = Parameter(
    "limit",
    "The most items of a page.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": LIMIT},
)
CURSOR = Parameter(
    "cursor",
    "The next page, from the `next` of an earlier answer. It fixes the position and the day of the first answer.",
    {"type": "string"},
)
FORMAT = Parameter(
    "format",
    "The format of the answer; overrides `Accept`.",
    {"type": "string", "enum": ["json", "csv", "ndjson"]},
)
BOM = Parameter(
    "bom",
    "`1` puts a byte order mark before CSV, so that spreadsheets read it as UTF-8.",
    {"type": "string", "enum": ["1"]},
)
PAGED = (LIMITED, CURSOR, FORMAT, BOM)
"""The parameters of pages: limit, cursor and format."""
EVIDENCE = Parameter(
    "evidence",
    "`full` adds the cited passages to the positions of the events that support each fact.",
    {"type": "string", "enum": ["full"]},
)

_APART = frozenset(each.name for each in (AS_OF, ON, *PAGED))
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOST_KEYS = 16


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The query of a list: its two times, the limit (None: not given), and the key of the item before the page."""

    question: TimeSlice
    limit: int | None
    after: list[Any] | None

    @property
    def page_size(self) -> int:
        return self.limit or LIMIT


def read_list(
    path: str, values: Values, now: Now, position_at: Callable[[str], int], *, any_day: bool = False
) -> ListQuery:
    """Read the time slice, limit and cursor of a query of the list at `path`.

    Raise BadQuestion, also if a parameter contradicts the time slice in the cursor.
    """
    question = read_times(values, now, position_at, any_day=any_day)
    limit = int(values[LIMITED.name][0]) if LIMITED.name in values else None
    if (pinning := read_cursor(path, values, now.head)) is None:
        return ListQuery(question, limit, None)
    pinned, after = pinning
    for name, given, fixed in ((AS_OF.name, question.as_of, pinned.as_of), (ON.name, question.on, pinned.on)):
        if name in values and given != fixed:
            raise BadQuestion({name: "is not what the cursor pins; leave one of the two out"})
    return ListQuery(pinned, limit, after)


def read_cursor(path: str, values: Values, head: int) -> tuple[TimeSlice, list[Any]] | None:
    """Return the time slice in the cursor of a query, and the keys after which its page begins; None without a cursor.

    Raise BadQuestion. The keys are strings and integers; the list checks their types (`check_after`).
    """
    if CURSOR.name not in values:
        return None
    try:
        pinned, digest, after = _decoded(values[CURSOR.name][0])
    except ValueError:
        raise BadQuestion({CURSOR.name: "is not a cursor of this registry"}) from None
    if pinned.as_of > head:
        raise BadQuestion({CURSOR.name: "is of a position that this log has not reached"})
    if digest != _digest(path, values):
        raise BadQuestion({CURSOR.name: "belongs to another question: give the parameters it was answered to"})
    return pinned, after


def read_pair(values: Values, now: Now, position_at: Callable[[str], int]) -> tuple[TimeSlice, TimeSlice]:
    """Return the two time slices that `from` and `to` compare: one day as known at two positions, or two days as known
    at one position. Raise BadQuestion.
    """
    if FROM.name not in values:
        raise BadQuestion({FROM.name: "is needed where `to` is given"})
    flaws = {each.name: "does not go with `from` and `to`" for each in PAGED if each.name in values}
    of_days = is_day(values[FROM.name][0])
    compared, shared = (ON, AS_OF) if of_days else (AS_OF, ON)
    if compared.name in values:
        flaws[compared.name] = "is what `from` and `to` say; leave it out"
    if not of_days:
        now = now._replace(then=None)  # both ends have instants of their own
    ends = []
    for end in (FROM, TO):
        times = {shared.name: values[shared.name]} if shared.name in values else {}
        if end.name in values:
            times[compared.name] = values[end.name]
            if (flaw := _flaw_of_end(values[end.name][0], of_days, end is FROM)) is not None:
                flaws[end.name] = flaw
                continue
        try:
            ends.append(read_times(times, now, position_at))
        except BadQuestion as error:
            flaws |= {end.name if name == compared.name else name: flaw for name, flaw in error.flaws.items()}
    if flaws:
        raise BadQuestion(flaws)
    return ends[0], ends[1]


def is_day(text: str) -> bool:
    """Return whether an end of a difference has the form of a day."""
    return _DAY.fullmatch(text) is not None


def cursor(path: str, values: Values, question: TimeSlice, after: list[Any]) -> str:
    """Return the cursor of the page after the item with this key. Clients must not read it, so its form may change."""
    return _encoded([question.as_of, question.on, _digest(path, values), after])


def _flaw_of_end(text: str, of_days: bool, is_first: bool) -> str | None:
    """Return what is wrong with the form of `from` or `to`; None if nothing."""
    if not (is_day(text) or POSITION.fullmatch(text) or INSTANT.fullmatch(text)):
        return "is a position, an RFC 3339 instant or a day, written YYYY-MM-DD"
    if is_first or is_day(text) == of_days:
        return None
    return f"is {'a day' if of_days else 'a position or an instant'}, as `from` is"


def _digest(path: str, values: Values) -> str:
    filters: Mapping[str, tuple[str, ...]] = {name: values[name] for name in sorted(values) if name not in _APART}
    return sha256(orjson.dumps([path, filters])).hexdigest()[:16]


def _encoded(content: list[Any]) -> str:
    body = orjson.dumps(content)
    return urlsafe_b64encode(_check(body) + body).rstrip(b"=").decode()


def _decoded(text: str) -> tuple[TimeSlice, str, list[Any]]:
    """Return the content of a cursor. Raise ValueError if `cursor` did not make it."""
    raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if raw[:6] != _check(raw[6:]):
        raise ValueError
    match orjson.loads(raw[6:]):
        case [int() as as_of, int() | None as on, str() as digest, list() as after] if (
            not isinstance(as_of, bool)
            and as_of >= 0
            and not isinstance(on, bool)
            and (on is None or BEFORE < on < AFTER)
            and len(after) <= _MOST_KEYS
            and all(_is_key(key) for key in after)
        ):
            return TimeSlice(as_of, on), digest, after
    raise ValueError


def _is_key(key: object) -> bool:
    return isinstance(key, str) or (isinstance(key, int) and abs(key) <= MAX_INTEGER)


def _check(body: bytes) -> bytes:
    return sha256(b"cursor:" + body).digest()[:6]
