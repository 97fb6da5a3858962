"""Pages of the whole registry: home, search, and the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from projections.engine.query_types import TimeSlice
from projections.reader import Reader
from service.pages import network_picture
from service.pages.facts import facts
from service.pages.site import Context, Visit, page

_NEWEST = 8
_FOUND = 20
_DEPTHS = (1, 2, 3)
_MOST_NODES = 300
_HOME_NODES = 40
_MOST_TIES = 400
"""Rows of the table beside the network. The JSON has all."""


async def home(request: web.Request) -> web.StreamResponse:
    """Return the first page: what the registry holds, its newest facts, and the network."""

    def find(reader: Reader, visit: Visit) -> Context:
        question = visit.times.question
        newest = facts(reader, question, {}, sort="-position", limit=_NEWEST)
        graph = reader.graph(None, 1, question, _HOME_NODES)
        return {
            "figures": reader.statistics(question),
            "newest": newest.items,
            "network": network_picture.network(graph, None, visit.wording) if graph["nodes"] else None,
            "truncated": graph["truncated"],
            "head": question.as_of,
        }

    return await page(request, "home.html", find)


async def search(request: web.Request) -> web.StreamResponse:
    """Return what some words find: parties by any name or spelling, and every subject with these words."""

    def find(reader: Reader, visit: Visit) -> Context:
        query = dict(visit.address.query)
        words = (query.get("q") or query.get("name") or "").strip()
        if not words:
            return {"words": "", "parties": [], "found": []}
        question = visit.times.question
        return {
            "words": words,
            "parties": reader.resolve(words, question, limit=5),
            "found": reader.search(words, question, limit=_FOUND, after=None).items,
        }

    return await page(request, "search.html", find)


async def network(request: web.Request) -> web.StreamResponse:
    """Return the picture of who is tied to whom, around a subject or of all, with a table of the same."""

    def find(reader: Reader, visit: Visit) -> Context:
        query = dict(visit.address.query)
        center = query.get("center") or None
        depth = next((each for each in _DEPTHS if str(each) == query.get("depth")), 1)
        question: TimeSlice = visit.times.question
        graph = reader.graph(center, depth, question, _MOST_NODES)
        names = {node["subject"]: node["name"] for node in graph["nodes"]}
        shown = graph["edges"][:_MOST_TIES]
        ends = {end for edge in shown for end in (edge["source"], edge["target"])}
        return {
            "center": {"subject": center, "name": names.get(center)} if center else None,
            "depth": depth,
            "depths": _DEPTHS,
            "tied": _tied(shown),
            "untied": [node for node in graph["nodes"] if node["subject"] not in ends],
            "more_ties": len(graph["edges"]) > _MOST_TIES,
            "names": names,
            "network": network_picture.network(graph, center, visit.wording) if graph["nodes"] else None,
            "truncated": graph["truncated"],
        }

    return await page(request, "network.html", find)


def _tied(edges: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return ties by the subject that they lead to, for a table with one heading a subject."""
    tied: dict[str, list[Mapping[str, Any]]] = {}
    for edge in edges:
        tied.setdefault(edge["target"], []).append(edge)
    return sorted(tied.items())
