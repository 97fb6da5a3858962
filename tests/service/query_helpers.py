"""Helpers of the tests that query: events about a few subjects, and a registry with the seeds."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.service.registry import SOURCE, running

SEEDS = Path(__file__).parents[2] / "seeds"


def event(type_: str, subject: str, data: dict[str, Any], occurred: str | None = None, **more: Any) -> dict[str, Any]:
    """Return an event with an id of its own."""
    made = {
        "specversion": "1.0",
        "id": f"{type_} {subject} {json.dumps(data, sort_keys=True)} {occurred}",
        "source": SOURCE,
        "type": type_,
        "subject": subject,
        "data": data,
    }
    return made | ({"occurred": occurred} if occurred else {}) | more


def party(slug: str, name: Any = None, **data: Any) -> dict[str, Any]:
    return event("party.registered", f"parties/{slug}", {"name": name or slug.title(), "kind": "company"} | data)


def signed(slug: str, occurred: str | None, *parties: str, **data: Any) -> dict[str, Any]:
    return event(
        "agreement.signed",
        f"agreements/{slug}",
        {"title": slug.title(), "kind": "contract", "parties": [{"party": f"parties/{each}"} for each in parties]}
        | data,
        occurred,
    )


def seed_lines() -> bytes:
    """Return all seeds, in the order of their manifest."""
    manifest = json.loads((SEEDS / "manifest.json").read_text())
    return b"".join((SEEDS / entry["file"]).read_bytes() for entry in manifest["files"])


SEEDED = seed_lines().count(b"\n")
"""How many events the seeds are."""


@asynccontextmanager
async def seeded(data: Path, **settings: Any):
    """Return a registry that has recorded the seeds."""
    async with running(data, **settings) as registry:
        for result in await registry.import_(seed_lines()):
            assert "leaf" in result, result
        yield registry
