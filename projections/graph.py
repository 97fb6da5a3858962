"""The graph: subjects and the memberships, references and support between them, around a subject or of all."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, NotRequired

import orjson
from pydantic import Field
from typing_extensions import TypedDict

from domain.membership import ORDER_OF_STATUSES
from domain.platform import Support
from domain.subject_state import STATUSES
from domain.values import Edtf, Percent, Reference, Subject
from projections.engine.answer_fields import AsOf, IsCertain, Positions, Status, Statuses, SubjectAddress, SubjectName
from projections.engine.bitemporal import COLLECTIONS
from projections.engine.event_index import EventIndex
from projections.engine.query_types import TimeSlice
from projections.engine.row_codecs import decode_membership_span, decode_unnamed_state
from projections.engine.time_slices import as_of_and_on, claim, claim_columns, holds, times
from projections.states import States

_NAMED = "x.kind IN ('supporter', 'announced')"
"""In SQL, the terms of list items that connect a party: a supporter of a platform, a party that is announced. The kind
of the term is the type of the edge."""
_FEW_PARTIES = 4
"""Inner parties up to which the memberships of outer containers are looked up by party instead of read whole."""


class GraphNode(TypedDict):
    """A subject in the graph."""

    subject: SubjectAddress
    name: SubjectName
    collection: Annotated[str, Field(description="The collection of the subject.")]
    kind: NotRequired[Annotated[str, Field(description="The kind of a party or an agreement.")]]
    status: NotRequired[Status]
    statuses: NotRequired[Statuses]
    certainty: NotRequired[IsCertain]


_Edge = TypedDict(  # in this form for the keyword `from`
    "_Edge",
    {
        "source": Annotated[Subject, Field(description="The party, or the subject that is part of another.")],
        "target": Annotated[Subject, Field(description="The subject that it is connected to.")],
        "type": Annotated[
            Literal["party", "announced", "founder", "member", "owner", "supporter", "part-of", "under"],
            Field(description="What connects them."),
        ],
        "events": Positions,
        "status": NotRequired[Status],
        "statuses": NotRequired[Statuses],
        "certainty": NotRequired[IsCertain],
        "support": NotRequired[Annotated[Support, Field(description="What kind of support it gives.")]],
        "share": NotRequired[Annotated[Percent, Field(description="The share of an owner in per cent.")]],
        "occurred": NotRequired[
            Annotated[Edtf, Field(description="When the support began, or the agreement was announced with the party.")]
        ],
        "from": NotRequired[Annotated[Edtf | None, Field(description="When the membership began.")]],
        "to": NotRequired[Annotated[Edtf | None, Field(description="When the membership ended.")]],
    },
)


class GraphEdge(_Edge):
    """A membership, a reference, the support of a platform, or the announcement of an agreement with a party."""


class GraphPart(TypedDict):
    """The subjects of a graph, and the edges between them."""

    nodes: Annotated[list[GraphNode], Field(description="The subjects.")]
    edges: Annotated[list[GraphEdge], Field(description="The connections between them.")]
    truncated: Annotated[bool, Field(description="Whether there are more than `limit` subjects.")]


class GraphBody(GraphPart):
    """Which subjects are connected, and by what."""

    position: AsOf


class Graph:
    """Queries the graph of subjects and their connections, on one connection."""

    def __init__(self, db: sqlite3.Connection, index: EventIndex, states: States) -> None:
        self._db = db
        self._index = index
        self._states = states

    def graph(self, center: str | None, depth: int, question: TimeSlice, limit: int) -> GraphPart:
        """Return at most `limit` subjects within `depth` edges of the center; without a center, of all subjects.

        Edges between two of these subjects are returned, except between two that are `depth` away. `truncated` says
        that there are more subjects. Raise NotFound, Gone or Merged.
        """
        if center is None:
            rows = self._db.execute(
                f"SELECT DISTINCT subject FROM subject_states t WHERE {as_of_and_on('t', question)} AND collection <> ?"
                " LIMIT ?",
                (*times(question), COLLECTIONS.index("documents"), limit + 1),
            ).fetchall()
            reached = dict.fromkeys(row[0] for row in rows[:limit])
            truncated, inner = len(rows) > limit, set(reached)
        else:
            reached, inner, truncated = self._within(self._states.number(center, question), depth, question, limit)
        edges: dict[tuple[int, int, str], dict[str, Any]] = {}
        for source, target, kind, claimed in self._edges(reached.keys(), inner, question, limit):
            if (source in inner or target in inner) and source in reached and target in reached:
                edges[source, target, kind] = claimed
        shown: list[Any] = [
            {"source": self._index.name(source), "target": self._index.name(target), "type": kind, **claimed}
            for (source, target, kind), claimed in edges.items()
        ]
        shown.sort(key=lambda edge: (edge["source"], edge["target"], edge["type"]))
        return {"nodes": self._nodes(reached, question), "edges": shown, "truncated": truncated}

    def _within(
        self, center: int, depth: int, question: TimeSlice, limit: int
    ) -> tuple[dict[int, None], set[int], bool]:
        """Return the subjects within `depth` edges, the inner ones (less than `depth` away), and whether more exist."""
        reached: dict[int, None] = {center: None}
        inner: set[int] = set()
        frontier = [center]
        for _ in range(depth):
            inner.update(frontier)
            following: list[int] = []
            for other in self._neighbours(frontier, question):
                if other not in reached:
                    if len(reached) >= limit:
                        return reached, inner, True
                    reached[other] = None
                    following.append(other)
            frontier = following
        return reached, inner, False

    def _nodes(self, numbers: Iterable[int], question: TimeSlice) -> list[GraphNode]:
        nodes: dict[int, Any] = {number: Reference(self._index.name(number)) for number in numbers}
        self._states.references.name(nodes.values(), question)
        for node in nodes.values():
            node["collection"] = node["subject"].partition("/")[0]
        rows = self._db.execute(
            f"SELECT t.subject, t.kind, {claim_columns('t', question)} FROM json_each(?) j CROSS JOIN subject_states t"
            f" ON t.subject = j.value WHERE {as_of_and_on('t', question)}",
            (_json(nodes), *times(question)),
        )
        for number, kind, *claimed in rows:
            node = nodes[number]
            node |= ({} if kind is None else {"kind": kind}) | claim(STATUSES[node["collection"]], *claimed)
        return sorted(nodes.values(), key=lambda node: str(node["subject"]))

    def _neighbours(self, numbers: Sequence[int], question: TimeSlice) -> Iterator[int]:
        """Yield the subjects that share an edge with these, some several times. Rows are read as they are consumed."""
        collections: dict[str, list[int]] = {}
        for number in numbers:
            collections.setdefault(self._index.name(number).partition("/")[0], []).append(number)
        parties = [
            each for party in collections.get("parties", ()) for each in self._index.cluster_of(party, question.as_of)
        ]
        platforms, agreements = collections.get("platforms", []), collections.get("agreements", [])
        containers = [*agreements, *collections.get("labs", ()), *platforms]
        naming = f"terms x ON x.value = CAST(j.value AS TEXT) AND {_NAMED} CROSS JOIN list_items r ON r.id = x.owner"
        named = f"list_items r ON r.subject = j.value CROSS JOIN terms x ON x.owner = r.id AND {_NAMED}"
        holding, known = holds("r", question), as_of_and_on("r", question)
        sources: tuple[tuple[str, str, Sequence[int]], ...] = (
            ("r.container FROM json_each(?) j CROSS JOIN memberships r ON r.party = j.value", holding, parties),
            (
                "r.party FROM json_each(?) j CROSS JOIN memberships r ON r.container = j.value",
                holding,
                [*containers, *parties],
            ),
            (
                "r.ref FROM json_each(?) j CROSS JOIN subject_states r ON r.subject = j.value AND r.ref IS NOT NULL",
                known,
                numbers,
            ),
            (
                "r.subject FROM json_each(?) j CROSS JOIN subject_states r ON r.ref = j.value",
                known,
                [*parties, *containers],
            ),
            (f"x.value + 0 FROM json_each(?) j CROSS JOIN {named}", known, [*platforms, *agreements]),
            (f"r.subject FROM json_each(?) j CROSS JOIN {naming}", known, parties),
        )
        for sql, condition, values in sources:
            if values:
                rows = self._db.execute(f"SELECT {sql} WHERE {condition}", (_json(values), *times(question)))
                for (other,) in rows:
                    yield self._index.survivor(other, question.as_of)

    def _edges(
        self, numbers: Collection[int], inner: Collection[int], question: TimeSlice, limit: int
    ) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
        """Yield the edges between these subjects and the inner ones, perhaps with edges to or between others."""
        for party, container, claimed, stored in self._memberships_among(numbers, inner, question, limit):
            if party in numbers:
                kind = {"agreements": "party", "labs": "founder", "platforms": "member"}
                name = kind[self._index.name(container).partition("/")[0]]
                yield party, container, name, claim(ORDER_OF_STATUSES, *claimed) | decode_membership_span(stored)
        yield from self._owners_among(numbers, question)
        rows = self._db.execute(
            "SELECT t.subject, t.ref, t.collection, t.body FROM json_each(?) j CROSS JOIN subject_states t"
            f" ON t.subject = j.value WHERE t.ref IS NOT NULL AND {as_of_and_on('t', question)}",
            (_json(numbers), *times(question)),
        )
        for subject, ref, collection, stored in rows.fetchall():
            kind_of = "part-of" if COLLECTIONS[collection] == "parties" else "under"
            provenance = decode_unnamed_state(stored)[1].get(kind_of.replace("-", "_"), [])
            yield subject, self._index.survivor(ref, question.as_of), kind_of, {"events": provenance}
        parties = {each for number in numbers for each in self._index.cluster_of(number, question.as_of)}
        named = self._db.execute(
            "SELECT r.at, r.label, x.kind, r.subject, r.body FROM json_each(?) j CROSS JOIN terms x"
            f" ON {_NAMED} AND x.value = CAST(j.value AS TEXT) CROSS JOIN list_items r ON r.id = x.owner"
            f" WHERE {as_of_and_on('r', question)}",
            (_json(parties), *times(question)),
        ).fetchall()
        for _, _, kind, subject, stored in sorted(named, reverse=True):  # of several of one party the first counts
            body = orjson.loads(stored)
            party = self._index.must_find(body["party"]["subject"])
            stated = {name: body[name] for name in ("support", "occurred", "events") if name in body}
            yield self._index.survivor(party, question.as_of), subject, kind, stated

    def _owners_among(
        self, numbers: Collection[int], question: TimeSlice
    ) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
        """Yield the edges from owners among these subjects to the parties that they own; later intervals come last."""
        rows = self._db.execute(
            f"SELECT r.interval, r.party, r.container, {claim_columns('r', question)}, r.body FROM json_each(?) j"
            " CROSS JOIN memberships r ON r.party = j.value AND r.container_name > 'parties/'"
            f" AND r.container_name < 'parties0' WHERE {holds('r', question)}",
            (_json(numbers), *times(question)),
        ).fetchall()
        for _, party, owned, *claimed, stored in sorted(rows, key=lambda row: row[:3]):
            yield party, owned, "owner", claim(ORDER_OF_STATUSES, *claimed) | decode_membership_span(stored)

    def _memberships_among(
        self, reached: Collection[int], inner: Collection[int], question: TimeSlice, limit: int
    ) -> list[tuple[int, int, tuple[int, int, int], bytes]]:
        """Return the memberships with an end among the inner ones, perhaps with others; later intervals come last."""
        containers = {
            each for each in reached if self._index.name(each).startswith(("agreements/", "labs/", "platforms/"))
        }
        parties = [each for each in inner if each not in containers]
        outer = containers.difference(inner) if len(parties) <= _FEW_PARTIES else set()
        columns = f"r.interval, r.party, r.container, {claim_columns('r', question)}, r.body"
        rows = self._db.execute(
            f"SELECT {columns} FROM json_each(?) j CROSS JOIN memberships r ON r.id IN"
            f" (SELECT x.id FROM memberships x WHERE x.container = j.value AND {holds('x', question)} LIMIT ?)",
            (_json(containers - outer), *times(question), limit + 1),
        ).fetchall()
        counted = Counter(row[2] for row in rows)
        large = {container for container, count in counted.items() if count > limit}
        rows = [row for row in rows if row[2] not in large]
        for some, others in ((large, reached), (outer, parties)):
            rows += self._db.execute(
                f"SELECT {columns} FROM json_each(?) j CROSS JOIN json_each(?) p CROSS JOIN memberships r"
                f" ON r.container = j.value AND r.party = p.value WHERE {holds('r', question)}",
                (_json(some), _json(others), *times(question)),
            ).fetchall()
        rows.sort(key=lambda row: row[:3])
        return [(party, container, (*claimed,), stored) for _, party, container, *claimed, stored in rows]


def _json(numbers: Iterable[int]) -> str:
    return orjson.dumps(list(numbers)).decode()
