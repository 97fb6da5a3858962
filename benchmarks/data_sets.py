"""Registries for queries and for reading the whole log: whole lifespans of agreements, and platforms with their
members. The numbers of agreements and parties grow with the number of events; the size of each subject does not, so
that an answer has the same size in every registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count, islice

from benchmarks.events import DAYS, DOCUMENTS, PLACES, event, known, lifespan

EVENTS_A_PARTY = 400
"""Events for each party. A sixth of them are signatures by three parties: each party signs some two hundred
agreements."""
LEAST_PARTIES = 5
PARTIES_A_PLATFORM = 25
PLATFORMS_OF_A_PARTY = 2
LIFE = 6
NEWS = 50_000_000
"""The number from which on agreements are new to all registries."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """A number of events."""

    events: int

    @property
    def parties(self) -> int:
        """The number of parties."""
        return max(LEAST_PARTIES, self.events // EVENTS_A_PARTY)

    @property
    def platforms(self) -> int:
        """The number of platforms. Each party is in two of them, if there are two."""
        return max(1, self.parties // PARTIES_A_PLATFORM)

    @property
    def agreements(self) -> int:
        """The number of agreements with a whole lifespan."""
        before = self.parties + DOCUMENTS + self.platforms + self.parties * self._joins
        return max(0, self.events - before) // LIFE

    @property
    def _joins(self) -> int:
        return min(PLATFORMS_OF_A_PARTY, self.platforms)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the events, in an order in which they are accepted."""
        lifespans = chain.from_iterable(lifespan(number, self.parties) for number in count())
        platforms = (launched(number) for number in range(self.platforms))
        members = (
            joined(party, (party + number) % self.platforms)
            for party in range(self.parties)
            for number in range(self._joins)
        )
        return islice(chain(known(self.parties), platforms, members, lifespans), self.events)


def launched(number: int) -> bytes:
    """Return the launch of a platform."""
    name = b'"name":{"en":"Forum number %d","zh":"%b"},"place":"%b"'
    data = name % (number, "储能产业平台".encode(), PLACES[number % len(PLACES)])
    return event(b"platform", number, b"platform.launched", b"platforms/f-%05d" % number, data, DAYS[0])


def joined(party: int, platform: int) -> bytes:
    """Return the event of a party that joins a platform."""
    data = b'"party":"parties/p-%05d","category":"industry"' % party
    name = b"joined-%05d" % platform
    return event(name, party, b"platform.member-joined", b"platforms/f-%05d" % platform, data, DAYS[party * 7 % 3_000])
