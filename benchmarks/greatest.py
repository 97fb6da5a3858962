"""The events of great subjects: an agreement with very many commitments, a platform with very many members, a party
that has signed very many agreements; and of each kind some ordinary ones, which have more than a page of what the great
have thousands of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count

from benchmarks.events import DAYS, event, known, party, signed
from benchmarks.sizes import Great
from benchmarks.worlds import joined, launched

ORDINARY = 10
"""Agreements and platforms that are not great."""
EACH = 60
"""Commitments and members of each of them; ties of a party that is not great, at least."""
GREAT_AGREEMENT = 90_000_000
GREAT_PLATFORM = 90_000
GREAT_PARTY = 90_000
"""Their numbers: beyond those of all others."""
COMMITMENTS = "a commitment in an agreement"
MEMBERS = "a member of a platform"
MEMBERSHIPS = "an agreement signed by a party"
KINDS = (COMMITMENTS, MEMBERS, MEMBERSHIPS)


def subject(kind: str, *, is_great: bool) -> str:
    """The great subject of a kind, or one that is not."""
    if kind == COMMITMENTS:
        return f"agreements/a-{GREAT_AGREEMENT if is_great else 1:08d}"
    if kind == MEMBERS:
        return f"platforms/f-{GREAT_PLATFORM if is_great else 1:05d}"
    return f"parties/p-{GREAT_PARTY if is_great else 1:05d}"


def parties(great: Great) -> int:
    """How many parties sign agreements with the great one, so that each has some."""
    return max(EACH, great.ties // 50)


def spare(great: Great) -> int:
    """The number of the first party that is a member of nothing."""
    return parties(great) + great.members


def events(great: Great, spares: int) -> Iterator[bytes]:
    """Great subjects and ordinary ones, and so many parties that are members of nothing."""
    usual = parties(great)
    yield from known(usual)
    yield from (party(number) for number in chain(range(usual, spare(great) + spares), (GREAT_PARTY,)))
    yield from (signed(number, usual) for number in chain(range(ORDINARY), (GREAT_AGREEMENT,)))
    yield from (launched(number) for number in chain(range(ORDINARY), (GREAT_PLATFORM,)))
    yield from (made(agreement, number, usual) for agreement in range(ORDINARY) for number in range(EACH))
    yield from (joined(number, platform) for platform in range(ORDINARY) for number in range(EACH))
    yield from (made(GREAT_AGREEMENT, number, usual) for number in range(great.events - 1))
    yield from (joined(usual + number, GREAT_PLATFORM) for number in range(great.members))
    yield from (signed_by_great(ORDINARY + number, usual) for number in range(great.ties))


@dataclass(frozen=True, slots=True)
class News:
    """Fresh events of a kind from a number on, so many; to the great subject or to ordinary ones."""

    kind: str
    is_great: bool
    first: int
    size: int
    parties: int

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self.first, self.first + self.size):
            yield self._event(number)

    def _event(self, number: int) -> bytes:
        if self.kind == COMMITMENTS:
            return made(GREAT_AGREEMENT if self.is_great else number % ORDINARY, number, self.parties)
        if self.kind == MEMBERS:
            return joined(number, GREAT_PLATFORM if self.is_great else number % ORDINARY)
        return signed_by_great(number, self.parties) if self.is_great else signed(number, self.parties)


def numbers(great: Great, kind: str, *, is_great: bool, turn: int) -> Iterator[int]:
    """The first number of each turn's news, of which none is posted twice."""
    if kind == MEMBERS:
        return count(spare(great), turn)
    return count(10_000_000 if is_great else 20_000_000, turn)


def made(agreement: int, number: int, others: int) -> bytes:
    """One more commitment in an agreement."""
    data = b'"commitment":"site-%d","kind":"facility","title":"Site number %d","by":["parties/p-%05d"],"due":"2030"' % (
        number,
        number,
        number % others,
    )
    name = b"made-%08d" % agreement
    return event(name, number, b"agreement.commitment-made", b"agreements/a-%08d" % agreement, data, DAYS[-1])


def signed_by_great(number: int, others: int) -> bytes:
    """An agreement that the great party signed too."""
    first = b'"parties":[{"party":"parties/p-%05d"' % (number % others)
    return signed(number, others).replace(first, b'"parties":[{"party":"parties/p-%05d"' % GREAT_PARTY, 1)
