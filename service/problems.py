"""Problems (RFC 9457): one table from kind to status, title and explanation, and the problem that each exception is.
They must never show a traceback.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from aiohttp import hdrs, web

from domain.errors import Contradiction, DifferentContent, Invalid, NotAllowed, Refused, VersionMismatch
from projections.engine.query_types import BadQuestion, Gone, NotFound
from service.commands.cloudevents import Malformed
from service.commands.write_queue import Overloaded
from service.commands.writer import Unavailable
from service.event_log import LogUnavailable
from service.schemas.answer_types import ProblemBody, ProblemError

MOST_ERRORS = 100
RETRY_SECONDS = "1"


class Kind(StrEnum):
    """The kinds of problems. Each is the last part of the address that is a problem's `type`."""

    MALFORMED = "malformed-request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    NOT_ACCEPTABLE = "not-acceptable"
    TIMEOUT = "request-timeout"
    CONTRADICTION = "contradiction"
    DIFFERENT_CONTENT = "different-content"
    GONE = "gone"
    VERSION_MISMATCH = "version-mismatch"
    TOO_LARGE = "too-large"
    UNSUPPORTED_TYPE = "unsupported-media-type"
    INVALID_EVENT = "invalid-event"
    INVALID_QUERY = "invalid-query"
    HEADERS_TOO_LARGE = "headers-too-large"
    INTERNAL = "internal-error"
    TOO_MANY_REQUESTS = "too-many-requests"
    OVERLOADED = "overloaded"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    POSITION_AHEAD = "position-ahead"
    NOT_READY = "not-ready"


@dataclass(frozen=True, slots=True)
class KindOfProblem:
    """A kind of problem: its HTTP status, its title, and a text that explains it and says what to do."""

    status: int
    title: str
    text: str


KINDS: Mapping[Kind, KindOfProblem] = {
    Kind.MALFORMED: KindOfProblem(
        400,
        "Malformed request",
        "The request cannot be parsed: its body is not JSON in UTF-8, a header or a condition is malformed, or two of"
        " them contradict each other. `detail` names the place. Nothing was recorded.",
    ),
    Kind.UNAUTHORIZED: KindOfProblem(
        401,
        "Unauthorized",
        "Posting needs a key, sent as `Authorization: Bearer <key>`. Reading needs one where the registry is configured"
        " so, and always for the texts of documents. The request has no key, or the key is unknown or revoked. Create"
        " keys with `registry keys create`.",
    ),
    Kind.FORBIDDEN: KindOfProblem(403, "Forbidden", "The key is valid, but lacks the scope that `detail` names."),
    Kind.NOT_FOUND: KindOfProblem(
        404,
        "Not found",
        "No resource has this path, or the registry did not know the subject as of the requested position.",
    ),
    Kind.METHOD_NOT_ALLOWED: KindOfProblem(
        405,
        "Method not allowed",
        "The resource exists but does not support this method; `Allow` lists its methods.",
    ),
    Kind.NOT_ACCEPTABLE: KindOfProblem(
        406,
        "Not acceptable",
        "The `Accept` header excludes every media type of the resource; `detail` lists them.",
    ),
    Kind.TIMEOUT: KindOfProblem(408, "Request timeout", "The rest of the request did not arrive in time."),
    Kind.CONTRADICTION: KindOfProblem(
        409,
        "Contradiction",
        "The fact contradicts recorded facts for certain, whatever their imprecise dates mean. `positions` are the"
        " events that it contradicts. Either one of them is wrong and must first be corrected or retracted, or this one"
        " is wrong.",
    ),
    Kind.DIFFERENT_CONTENT: KindOfProblem(
        409,
        "Different content",
        "`source` and `id` together identify one event for ever. They were recorded with other content, in the event at"
        " `positions`. To correct that event, post an `event.corrected` with another id.",
    ),
    Kind.GONE: KindOfProblem(410, "Gone", "The subject existed, but all its events were retracted."),
    Kind.VERSION_MISMATCH: KindOfProblem(
        412,
        "Version mismatch",
        "The condition in `If-Match` or `If-None-Match` does not hold: another client posted first. Read the state"
        " again, and post again if the fact is still missing.",
    ),
    Kind.TOO_LARGE: KindOfProblem(
        413,
        "Content too large",
        "An event has at most 1 MiB, a batch 8 MiB and 1,000 events, a trial import 10,000 lines, a document's text"
        " 16 MiB. An import, posted as `application/x-ndjson`, may have any size.",
    ),
    Kind.UNSUPPORTED_TYPE: KindOfProblem(
        415,
        "Unsupported media type",
        "Events are posted as `application/cloudevents+json`, as `application/cloudevents-batch+json`, as"
        " `application/x-ndjson`, or as `application/json` (structured, or binary with `ce-*` headers), a document's"
        " text as `text/plain`; not compressed, in UTF-8.",
    ),
    Kind.INVALID_EVENT: KindOfProblem(
        422,
        "Invalid event",
        "The event does not match the schema of its type, or refers to something that does not exist. `errors` lists"
        " all flaws, each with a pointer (RFC 6901) into the posted document; in a batch it starts with the event's"
        " index.",
    ),
    Kind.INVALID_QUERY: KindOfProblem(
        422,
        "Invalid query",
        "A parameter is unknown, or its value is not allowed; `errors` lists all of them.",
    ),
    Kind.TOO_MANY_REQUESTS: KindOfProblem(
        429,
        "Too many requests",
        "This key, or this address if it sends no key, sends more requests than `REGISTRY_RATE` allows. `Retry-After`"
        " gives the seconds until the next request is answered.",
    ),
    Kind.HEADERS_TOO_LARGE: KindOfProblem(
        431,
        "Request header fields too large",
        "The request line and each header have at most 8 KiB, all lines of one header together as well, and there are"
        " at most 64 headers. Split a long query into several.",
    ),
    Kind.INTERNAL: KindOfProblem(
        500, "Internal error", "This is a fault of the registry, not of the request. It has been logged."
    ),
    Kind.OVERLOADED: KindOfProblem(
        503,
        "Overloaded",
        "The request was rejected. `Retry-After` gives the seconds until it can be sent again.",
    ),
    Kind.BUSY: KindOfProblem(
        503,
        "Busy",
        "Requests of this kind take long, and only a few run at a time. `Retry-After` gives the seconds until it can"
        " be sent again.",
    ),
    Kind.UNAVAILABLE: KindOfProblem(
        503,
        "Unavailable",
        "The store failed or the registry is stopping. Posted events may or may not be recorded. Posting them again is"
        " safe, since `source` and `id` identify an event.",
    ),
    Kind.POSITION_AHEAD: KindOfProblem(
        503,
        "Position not reached",
        "This node did not reach the requested position in time. `Retry-After` gives the seconds until the request can"
        " be sent again.",
    ),
    Kind.NOT_READY: KindOfProblem(503, "Not ready", "The registry cannot answer yet; `detail` gives the reason."),
}


class Problem(Exception):
    """A problem that answers a request. `members` are further members of its JSON, `headers` those of its response."""

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        errors: Sequence[ProblemError] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.members = members
        if KINDS[kind].status == 503:
            self.headers.setdefault("Retry-After", RETRY_SECONDS)

    def body(self, **more: Any) -> bytes:
        """Return the problem as JSON, with `more` members."""
        explained = KINDS[self.kind]
        document: ProblemBody = {
            "type": f"/problems/{self.kind}",
            "title": explained.title,
            "status": explained.status,
        }
        if self.detail:
            document["detail"] = self.detail
        if self.errors:
            document["errors"] = [*self.errors[:MOST_ERRORS]]
        return orjson.dumps({**document, **self.members, **more})


_DISK_ERRORS = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)
_SQLITE_DISK_ERRORS = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_NOMEM,
    )
)
_INTERNAL = "the registry failed; the fault is in its log"
_OF_REFUSED: Mapping[type[Refused], Kind] = {
    Invalid: Kind.INVALID_EVENT,
    Contradiction: Kind.CONTRADICTION,
    DifferentContent: Kind.DIFFERENT_CONTENT,
    VersionMismatch: Kind.VERSION_MISMATCH,
    NotAllowed: Kind.FORBIDDEN,
}
_OF_STATUS: Mapping[int, Kind] = {
    400: Kind.MALFORMED,
    404: Kind.NOT_FOUND,
    405: Kind.METHOD_NOT_ALLOWED,
    413: Kind.TOO_LARGE,
    415: Kind.UNSUPPORTED_TYPE,
}


def problem_of(error: Exception) -> Problem:
    """Return the problem that tells a client of an exception; INTERNAL if the exception is unforeseen."""
    match error:
        case Problem():
            return error
        case Refused():
            members: dict[str, Any] = {"positions": error.positions} if error.positions else {}
            errors: list[ProblemError] = [
                {"pointer": flaw.pointer, "detail": flaw.detail} for flaw in error.flaws[:MOST_ERRORS]
            ]
            return Problem(_OF_REFUSED.get(type(error), Kind.INVALID_EVENT), error.detail, errors, **members)
        case Malformed():
            return Problem(Kind.MALFORMED, str(error), [{"pointer": error.pointer, "detail": str(error)}])
        case BadQuestion():
            return Problem(
                Kind.INVALID_QUERY,
                "; ".join(f"{name}: {detail}" for name, detail in error.flaws.items()),
                [{"pointer": "", "parameter": name, "detail": detail} for name, detail in error.flaws.items()],
            )
        case NotFound():
            return Problem(Kind.NOT_FOUND, str(error))
        case Gone():
            return Problem(Kind.GONE, str(error))
        case Overloaded():
            return Problem(Kind.OVERLOADED, str(error))
        case Unavailable() | LogUnavailable():
            return Problem(Kind.UNAVAILABLE, str(error))
        case OSError() | sqlite3.Error() if _is_of_the_disk(error):
            return Problem(Kind.UNAVAILABLE, "the disk failed, or is full")
        case web.HTTPException():
            return _of_http(error)
        case _:
            return Problem(Kind.INTERNAL, _INTERNAL)


def _is_of_the_disk(error: OSError | sqlite3.Error) -> bool:
    """Return whether an error comes from the storage of files, and not from the code that uses them."""
    if isinstance(error, OSError):
        return error.errno in _DISK_ERRORS
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _SQLITE_DISK_ERRORS


def allow(methods: Collection[str]) -> str:
    """Return the value of `Allow` for a resource with these methods: every resource also has OPTIONS."""
    return ",".join(sorted({*methods, hdrs.METH_OPTIONS}))


def _of_http(error: web.HTTPException) -> Problem:
    headers = {"Allow": allow(error.allowed_methods)} if isinstance(error, web.HTTPMethodNotAllowed) else {}
    kind = _OF_STATUS.get(error.status, Kind.INTERNAL if error.status >= 500 else Kind.MALFORMED)
    match kind:
        case Kind.NOT_FOUND:
            return Problem(kind, "no resource has this path", headers=headers)
        case Kind.METHOD_NOT_ALLOWED:
            return Problem(kind, f"this resource supports {headers['Allow']}", headers=headers)
        case Kind.INTERNAL:
            return Problem(kind, _INTERNAL, headers=headers)
    return Problem(kind, error.reason, headers=headers)
