"""What a registry weighs: the memory of its process at the end, and its files once it has stopped."""

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
    """A registry that still serves: its events, and the bytes of memory it holds now and held at most."""

    events: int
    memory: tuple[int, int] | None


def weigh(registry: Registry) -> Weight:
    """A registry's weight now."""
    page = orjson.loads(ask(registry.server, "GET", "/v1/events?limit=1"))
    return Weight(int(page["position"]), registry.server.memory())


def footprint(
    after: str, folder: Path, weight: Weight, *, raw: float | None = None, size: int | None = None
) -> Footprint:
    """The whole, once the registry has stopped and left its files in order."""
    return Footprint(after, weight.events, weight.memory, files_of(folder), raw, size)


def files_of(folder: Path) -> dict[str, int]:
    """Bytes of the log and of the views in a data directory."""
    return {name: _size(folder, f"{name}.sqlite") for name in ("log", "views")}


def mean_of(events: Iterable[bytes], some: int = 1_000) -> float:
    """Bytes of one event, of the first so many."""
    lengths = [len(event) for event in islice(events, some)]
    return sum(lengths) / len(lengths)


def _size(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{name}*"))
