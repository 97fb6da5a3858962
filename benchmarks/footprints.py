"""What a registry weighs: the memory of its process at the end, and its files once it has stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.bench import Footprint
from benchmarks.contestants import Registry, ask


@dataclass(frozen=True, slots=True)
class Weight:
    """A registry that still serves: its events, and the bytes of memory it holds now and held at most."""

    events: int
    memory: tuple[int, int] | None


def weigh(registry: Registry) -> Weight:
    """A registry's weight now."""
    page = orjson.loads(ask(registry.server, "GET", "/v1/events?limit=1"))
    return Weight(int(page["position"]), registry.server.memory())


def footprint(after: str, folder: Path, weight: Weight) -> Footprint:
    """The whole, once the registry has stopped and left its files in order."""
    files = {name: _size(folder, f"{name}.sqlite") for name in ("log", "views")}
    return Footprint(after, weight.events, weight.memory, files)


def _size(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{name}*"))
