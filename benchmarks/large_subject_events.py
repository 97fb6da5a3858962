"""Events of large subjects: an agreement with very many commitments, a platform with very many members, a party that
signed very many agreements; and ordinary subjects of each kind, with slightly more than a page of each list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count

from benchmarks.data_sets import joined, launched
from benchmarks.events import DAYS, event, known, party, signed
from benchmarks.sizes import LargeSubjects

ORDINARY = 10
"""Agreements and platforms that are not large."""
EACH = 60
"""Commitments and members of each ordinary subject; the least number of memberships of an ordinary party."""
LARGE_AGREEMENT = 90_000_000
LARGE_PLATFORM = 90_000
LARGE_PARTY = 90_000
"""Numbers of large subjects: beyond those of all others."""
COMMITMENTS = "a commitment in an agreement"
MEMBERS = "a member of a platform"
MEMBERSHIPS = "an agreement signed by a party"
KINDS = (COMMITMENTS, MEMBERS, MEMBERSHIPS)


def subject(kind: str, *, is_large: bool) -> str:
    """Return the large subject of a kind, or an ordinary one."""
    if kind == COMMITMENTS:
        return f"agreements/a-{LARGE_AGREEMENT if is_large else 1:08d}"
    if kind == MEMBERS:
        return f"platforms/f-{LARGE_PLATFORM if is_large else 1:05d}"
    return f"parties/p-{LARGE_PARTY if is_large else 1:05d}"


def parties(large: LargeSubjects) -> int:
    """Return the number of parties that sign agreements with the large party, so that each signs some."""
    return max(EACH, large.ties // 50)


def spare(large: LargeSubjects) -> int:
    """Return the number of the first party that is a member of nothing."""
    return parties(large) + large.members


def events(large: LargeSubjects, spares: int) -> Iterator[bytes]:
    """Yield the events of large and ordinary subjects, and so many parties that are members of nothing."""
    usual = parties(large)
    yield from known(usual)
    yield from (party(number) for number in chain(range(usual, spare(large) + spares), (LARGE_PARTY,)))
    yield from (signed(number, usual) for number in chain(range(ORDINARY), (LARGE_AGREEMENT,)))
    yield from (launched(number) for number in chain(range(ORDINARY), (LARGE_PLATFORM,)))
    yield from (made(agreement, number, usual) for agreement in range(ORDINARY) for number in range(EACH))
    yield from (joined(number, platform) for platform in range(ORDINARY) for number in range(EACH))
    yield from (made(LARGE_AGREEMENT, number, usual) for number in range(large.events - 1))
    yield from (joined(usual + number, LARGE_PLATFORM) for number in range(large.members))
    yield from (signed_by_large(ORDINARY + number, usual) for number in range(large.ties))


@dataclass(frozen=True, slots=True)
class NewEvents:
    """A number of new events of a kind from a number on, about the large subject or about ordinary ones."""

    kind: str
    is_large: bool
    first: int
    size: int
    parties: int

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self.first, self.first + self.size):
            yield self._event(number)

    def _event(self, number: int) -> bytes:
        if self.kind == COMMITMENTS:
            return made(LARGE_AGREEMENT if self.is_large else number % ORDINARY, number, self.parties)
        if self.kind == MEMBERS:
            return joined(number, LARGE_PLATFORM if self.is_large else number % ORDINARY)
        return signed_by_large(number, self.parties) if self.is_large else signed(number, self.parties)


def numbers(large: LargeSubjects, kind: str, *, is_large: bool, turn: int) -> Iterator[int]:
    """Return the first number of the new events of each turn. No event is posted twice."""
    if kind == MEMBERS:
        return count(spare(large), turn)
    return count(10_000_000 if is_large else 20_000_000, turn)


def made(agreement: int, number: int, others: int) -> bytes:
    """Return one more commitment of an agreement."""
    data = b'"commitment":"site-%d","kind":"facility","title":"Site number %d","by":["parties/p-%05d"],"due":"2030"' % (
        number,
        number,
        number % others,
    )
    name = b"made-%08d" % agreement
    return event(name, number, b"agreement.commitment-made", b"agreements/a-%08d" % agreement, data, DAYS[-1])


def signed_by_large(number: int, others: int) -> bytes:
    """Return an agreement that the large party signed too."""
    first = b'"parties":[{"party":"parties/p-%05d"' % (number % others)
    return signed(number, others).replace(first, b'"parties":[{"party":"parties/p-%05d"' % LARGE_PARTY, 1)
