"""Footprints: the memory of a registry's process at the end, and its files after it has stopped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import orjson

from benchmarks.contestants import Registry, ask
from benchmarks.results import Footprint


@dataclass(frozen=True, slots=True)
class Weight:
    """A running registry: its events, and the bytes of memory it has now and had at most."""

    events: int
    memory: tuple[int, int] | None


def weigh(registry: Registry) -> Weight:
    """Return the present memory of a registry."""
    page = orjson.loads(ask(registry.server, "GET", "/v1/events?limit=1"))
    return Weight(int(page["position"]), registry.server.memory())


def footprint(
    after: str, folder: Path, weight: Weight, *, raw: float | None = None, size: int | None = None
) -> Footprint:
    """Return the footprint of a registry that has stopped and closed its files."""
    return Footprint(after, weight.events, weight.memory, files_of(folder), raw, size)


def files_of(folder: Path) -> dict[str, int]:
    """Return the bytes of the log and of the views in a data directory."""
    return {name: _size(folder, f"{name}.sqlite") for name in ("log", "views")}


def mean_of(events: Iterable[bytes], some: int = 1_000) -> float:
    """Return the mean bytes of the first `some` events."""
    lengths = [len(event) for event in islice(events, some)]
    return sum(lengths) / len(lengths)


def _size(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{name}*"))
