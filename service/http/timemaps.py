"""TimeMaps (RFC 7089, section 5): the positions in the history of a subject as mementos of its state, in pages. A
TimeMap lists events about the subject itself, not about subjects that its state names."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from yarl import URL

from projections.reader import Reader
from service.http.answers import answer_from_views, negotiate
from service.http.memento import LINK_FORMAT, at, http_date, link
from service.http.operations import QUERY, Parameter
from service.http.query_parameters import FROM, MAX_LIMIT
from service.http.response_cache import CachedResponse
from service.question_times import Now, read_times

SINCE = Parameter(
    FROM.name,
    f"The first position. A page has {MAX_LIMIT:,} mementos and names the next.",
    {"type": "integer", "minimum": 1, "default": 1},
)


async def answer_timemap(request: web.Request, subject: str) -> web.StreamResponse:
    """Return the TimeMap of a state. Raise Merged where another party answers for the subject."""
    negotiate(request, (LINK_FORMAT,))
    values = request[QUERY]
    first = int(values.get(SINCE.name, ("1",))[0])

    def found(reader: Reader, now: Now) -> CachedResponse:
        read_times(values, now, reader.position_at)
        mementos = reader.versions(subject, now.head, since=first - 1, limit=MAX_LIMIT + 1)
        body, headers = _written(request.rel_url, first, mementos)
        return CachedResponse(body, LINK_FORMAT, headers)

    return await answer_from_views(request, found)


def _written(here: URL, first: int, mementos: Sequence[tuple[int, str]]) -> tuple[bytes, dict[str, str]]:
    """Return the links, and the headers that name the next page. `mementos` has those of the page, and the next one."""
    original = here.with_path(here.path.removesuffix("/timemap"), keep_query=True).without_query_params(SINCE.name)
    page, beyond = mementos[:MAX_LIMIT], mementos[MAX_LIMIT:]
    extent = [("from", page[0][1]), ("until", page[-1][1])] if page else []
    links, headers = [f'<{original}>; rel="original timegate"', _timemap(here, "self", extent)], dict[str, str]()
    for position, recorded in beyond:
        following = here.update_query({SINCE.name: str(position)})
        links.append(_timemap(following, "timemap", [("from", recorded)]))
        headers["Link"] = f'<{following}>; rel="next"'
    for index, (position, recorded) in enumerate(page):
        ends = ("first",) * (index == 0 and first == 1) + ("last",) * (index == len(page) - 1 and not beyond)
        links.append(link(at(original, position), recorded, " ".join((*ends, "memento"))))
    return ",\n".join(links).encode() + b"\n", headers


def _timemap(address: URL, relation: str, extent: Sequence[tuple[str, str]]) -> str:
    ends = "".join(f'; {end}="{http_date(recorded)}"' for end, recorded in extent)
    return f'<{address}>; rel="{relation}"; type="{LINK_FORMAT}"{ends}'
