"""Posts about large subjects: a platform with many members, an agreement with many signatures or commitments, a party
that many facts name. They cost as much as with a tenth of that."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from domain.errors import Refused
from tests.recorded_views import (
    RecordedViews,
    also_signed,
    corrected,
    joined,
    left,
    new_views,
    party,
    platform,
    retracted,
    signed,
    step,
)

SMALL, LARGE = 150, 1500
_EACH = 10
_INDEXED = 5_000
"""What it takes at most to index the texts of 256 facts, which one of so many posts does."""


def grown(found: RecordedViews, size: int) -> None:
    """Return a platform, an agreement with signatures, one with commitments, and a party that all of them name."""
    found.batch(
        platform("p", "2009-01-01"),
        party("hub"),
        signed("t", "2009-01-01", "hub"),
        signed("c", "2009-01-01", "hub"),
    )
    for number in range(size):
        day = (date(2010, 1, 1) + timedelta(days=number * 4000 // size)).isoformat()
        slug = f"m-{number}"
        found.batch(
            party(slug),
            joined(slug, "p", day),
            also_signed("t", day, slug),
            step("commitment-made", "c", day, commitment=slug, kind="facility", title="site", by=["parties/hub"]),
        )


@pytest.fixture(scope="module")
def small_and_large() -> Iterator[tuple[RecordedViews, RecordedViews]]:
    with new_views() as small, new_views() as large:
        grown(small, SMALL)
        grown(large, LARGE)
        yield small, large


def position_of(found: RecordedViews, kind: str, subject: str, number: int = 0) -> int:
    """Return the position of an event of a type about a subject; -1 is the last."""
    of_kind = [each for each in found.events if (each.type, each.subject) == (kind, subject)]
    return of_kind[number].position


def effort(found: RecordedViews, documents: list[dict[str, Any]]) -> int:
    """Return the steps of SQLite's machine and the calls of Python functions of a batch, until it is committed or
    refused.
    """
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += _EACH
        return 0

    def called(_: Any, event: str, __: Any) -> None:
        nonlocal taken
        taken += event == "call"

    found.views._store._facts_by_row.clear()  # of a smaller subject more would be cached
    database = found.views._db
    database.set_progress_handler(count, _EACH)
    sys.setprofile(called)
    try:
        found.batch(*documents)
    except Refused:
        pass
    finally:
        sys.setprofile(None)
        database.set_progress_handler(None, 0)
    return taken


LAUNCHED = ("platform.launched", "platforms/p")
JOINED = ("platform.member-joined", "platforms/p")
SIGNED = ("agreement.signed", "agreements/t")
MADE = ("agreement.commitment-made", "agreements/c")

POSTS: dict[str, Callable[[RecordedViews], list[dict[str, Any]]]] = {
    "a joining is corrected": lambda found: [
        corrected("platforms/p", position_of(found, *JOINED, 50), occurred="2015-05-05")
    ],
    "the first joining is corrected": lambda found: [
        corrected("platforms/p", position_of(found, *JOINED), occurred="2015-05-05")
    ],
    "the last joining is retracted": lambda found: [retracted("platforms/p", position_of(found, *JOINED, -1))],
    "the launch is corrected to a day before": lambda found: [
        corrected("platforms/p", position_of(found, *LAUNCHED), occurred="2008-01-01")
    ],
    "the launch is corrected to some days before": lambda found: [
        corrected("platforms/p", position_of(found, *LAUNCHED), occurred="2008-12")
    ],
    "the launch cannot come after a joining": lambda found: [
        corrected("platforms/p", position_of(found, *LAUNCHED), occurred="2024-01-01")
    ],
    "the launch cannot be retracted": lambda found: [retracted("platforms/p", position_of(found, *LAUNCHED))],
    "nobody joins before the launch": lambda found: [joined("hub", "p", "1999")],
    "nobody joins twice": lambda found: [joined("m-7", "p", "2023-01-01")],
    "the platform does not end before the last joining": lambda found: [
        {"type": "platform.dissolved", "subject": "platforms/p", "occurred": "2012-01-01"}
    ],
    "a member leaves": lambda found: [left("m-8", "p", "2024-01-01")],
    "the first signature is corrected": lambda found: [
        corrected("agreements/t", position_of(found, *SIGNED), occurred="2009-02-01")
    ],
    "the first signature is no longer the first": lambda found: [
        corrected("agreements/t", position_of(found, *SIGNED), occurred="2010-06-01")
    ],
    "a signature is retracted": lambda found: [retracted("agreements/t", position_of(found, *SIGNED, 50))],
    "nobody ratifies before the signature": lambda found: [step("ratified", "t", "1999", "m-3")],
    "a commitment is corrected": lambda found: [
        corrected("agreements/c", position_of(found, *MADE, 50), occurred="2015-05-05")
    ],
    "a commitment is retracted": lambda found: [retracted("agreements/c", position_of(found, *MADE, 60))],
    "the signature before all commitments is corrected": lambda found: [
        corrected("agreements/c", position_of(found, "agreement.signed", "agreements/c"), occurred="2008-01-01")
    ],
    "the registration of a party that is named cannot be retracted": lambda found: [
        retracted("parties/hub", position_of(found, "party.registered", "parties/hub"))
    ],
}


@pytest.mark.parametrize("post", POSTS)
def test_posts_to_a_subject_ten_times_as_large_take_no_more_steps(small_and_large, post):
    small, large = (effort(found, POSTS[post](found)) for found in small_and_large)
    assert large < 1.5 * small + _INDEXED
