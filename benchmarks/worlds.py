"""The registries that are asked and read as a whole: whole lives of agreements, and platforms with their members. With
the number of events grow the numbers of agreements and parties, and not what one of them is part of, so that what is
asked for at one size is as much as at another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count, islice

from benchmarks.events import DAYS, DOCUMENTS, PLACES, event, known, lifespan

EVENTS_A_PARTY = 400
"""Of which a sixth are signatures by three parties: each party has signed some two hundred agreements."""
LEAST_PARTIES = 5
PARTIES_A_PLATFORM = 25
PLATFORMS_OF_A_PARTY = 2
LIFE = 6
NEWS = 50_000_000
"""The number from which on agreements are new to all of them."""


@dataclass(frozen=True, slots=True)
class World:
    """So many events."""

    events: int

    @property
    def parties(self) -> int:
        """How many there are."""
        return max(LEAST_PARTIES, self.events // EVENTS_A_PARTY)

    @property
    def platforms(self) -> int:
        """How many there are; each party is in two of them, if there are two."""
        return max(1, self.parties // PARTIES_A_PLATFORM)

    @property
    def agreements(self) -> int:
        """How many there are whose whole life is told."""
        before = self.parties + DOCUMENTS + self.platforms + self.parties * self._joins
        return max(0, self.events - before) // LIFE

    @property
    def _joins(self) -> int:
        return min(PLATFORMS_OF_A_PARTY, self.platforms)

    def __iter__(self) -> Iterator[bytes]:
        """The events, in an order in which they can be taken in."""
        lives = chain.from_iterable(lifespan(number, self.parties) for number in count())
        platforms = (launched(number) for number in range(self.platforms))
        members = (
            joined(party, (party + number) % self.platforms)
            for party in range(self.parties)
            for number in range(self._joins)
        )
        return islice(chain(known(self.parties), platforms, members, lives), self.events)


def launched(number: int) -> bytes:
    """A platform."""
    name = b'"name":{"en":"Forum number %d","zh":"%b"},"place":"%b"'
    data = name % (number, "储能产业平台".encode(), PLACES[number % len(PLACES)])
    return event(b"platform", number, b"platform.launched", b"platforms/f-%05d" % number, data, DAYS[0])


def joined(party: int, platform: int) -> bytes:
    """A party that becomes a member of a platform."""
    data = b'"party":"parties/p-%05d","category":"industry"' % party
    name = b"joined-%05d" % platform
    return event(name, party, b"platform.member-joined", b"platforms/f-%05d" % platform, data, DAYS[party * 7 % 3_000])
