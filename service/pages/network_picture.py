"""The picture of the network: places and labels are computed here, and a template draws them as SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Any

from service.pages.labels import Box, Label, Mark, place
from service.pages.wording import Wording

WIDTH = 1000
"""Units of the picture. A page shows one as a pixel where it has the room, so that labels keep their size."""
_ITERATIONS = ((60, 300), (120, 150))
"""Up to so many subjects: iterations of the layout."""
_FEWEST = 40
_SEED = 7
"""The same network gives the same picture."""
_EVEN = 0.6
"""How far subjects are spread evenly: 0 keeps the places of the layout, 1 keeps only their order along each axis."""
_SIDE, _TOP, _BOTTOM = 70, 26, 34
"""Room at the edges for labels."""


@dataclass(frozen=True, slots=True)
class Node:
    """A subject in the network; `x` and `y` are the middle of its mark. `label`: None where there is no room for it."""

    subject: str
    name: str
    style: str
    x: float
    y: float
    size: float
    label: Label | None


@dataclass(frozen=True, slots=True)
class Network:
    """A drawn graph in a frame of `width` by `height` units: nodes, and the path of all lines between them."""

    width: int
    height: int
    nodes: list[Node]
    lines: str
    ties: int


def network(graph: Mapping[str, Any], center: str | None, wording: Wording) -> Network:
    """Return the picture of a graph as the API answers it. The same graph gives the same picture.

    The center and the subjects with the most ties are labelled first. No two labels overlap.
    """
    subjects = tuple(sorted(node["subject"] for node in graph["nodes"]))
    ties = tuple(sorted({(edge["source"], edge["target"]) for edge in graph["edges"]}))
    degrees = Counter(end for tie in ties for end in tie)
    height = int(140 + 80 * sqrt(len(subjects)))
    at = _fitted(_layout(subjects, ties), height)
    marks = {
        node["subject"]: Mark(
            node["subject"],
            wording.plain(node["name"]),
            *at[node["subject"]],
            round(5 + min(9.0, sqrt(degrees[node["subject"]]) * 2), 1),
        )
        for node in graph["nodes"]
    }
    ranked = sorted(subjects, key=lambda subject: (subject != center, -degrees[subject], subject))
    labels = place((marks[subject] for subject in ranked), Box(0, 0, WIDTH, height))
    nodes = []
    for node in graph["nodes"]:
        mark = marks[node["subject"]]
        style = f"of-{node['collection']}" + (" center" if mark.key == center else "")
        nodes.append(Node(mark.key, mark.name, style, mark.x, mark.y, mark.size, labels.get(mark.key)))
    lines = "".join(f"M{at[one][0]:g},{at[one][1]:g}L{at[other][0]:g},{at[other][1]:g}" for one, other in ties)
    return Network(WIDTH, height, nodes, lines, len(graph["edges"]))


@lru_cache(maxsize=32)
def _layout(subjects: tuple[str, ...], ties: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return a place for each subject. It takes 0.1 s for 300 subjects, so the last ones are cached."""
    import networkx as nx  # here, as it takes a tenth of the start of every command that serves

    drawn: nx.Graph[str] = nx.Graph()
    drawn.add_nodes_from(subjects)
    drawn.add_edges_from(ties)
    places: dict[str, Any] = nx.forceatlas2_layout(
        drawn,
        pos=nx.circular_layout(drawn, scale=10),
        max_iter=next((most for size, most in _ITERATIONS if len(subjects) <= size), _FEWEST),
        strong_gravity=True,
        gravity=0.35,
        scaling_ratio=6.0,
        seed=_SEED,
    )
    return places


def _fitted(places: Mapping[str, Any], height: int) -> dict[str, tuple[float, float]]:
    """Return places spread over a picture of this height, with room for the labels at its edges."""
    across = _spread({subject: float(place[0]) for subject, place in places.items()})
    down = _spread({subject: float(place[1]) for subject, place in places.items()})
    return {
        subject: (
            round(_SIDE + across[subject] * (WIDTH - 2 * _SIDE), 1),
            round(_TOP + down[subject] * (height - _TOP - _BOTTOM), 1),
        )
        for subject in places
    }


def _spread(values: Mapping[str, float]) -> dict[str, float]:
    """Return values from 0 to 1 in the same order: a mean of each value and its rank, so that crowds have room."""
    ordered: Sequence[str] = sorted(values, key=lambda key: (values[key], key))
    low, high = values[ordered[0]], values[ordered[-1]]
    if len(ordered) == 1:
        return {ordered[0]: 0.5}
    return {
        key: _EVEN * rank / (len(ordered) - 1) + (1 - _EVEN) * (values[key] - low) / ((high - low) or 1.0)
        for rank, key in enumerate(ordered)
    }
