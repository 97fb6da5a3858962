"""The events that benchmarks post: well-formed, fresh, about parties that exist, the same in every run. Made cheaply,
so that the load is not what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

SOURCE = "https://benchmarks.example/load"
DOCUMENTS = 20
DAYS = [(date(2010, 1, 1) + timedelta(days=day)).isoformat().encode() for day in range(5_800)]
FIELDS = (b"solid-state batteries", b"grid storage", b"hydrogen", b"offshore wind", b"recycling", b"charging")
PLACES = (b"Chengdu", b"Shanghai", b"Geneva", b"Lisbon", b"Nairobi", b"Oslo", b"Lima")

_HEAD = b'{"specversion":"1.0","id":"%%b-%%08d","source":"%b","type":"%%b","subject":"%%b",' % SOURCE.encode()
_SIGNED = (
    b'{"specversion":"1.0","id":"signed-%08d","source":"' + SOURCE.encode() + b'","type":"agreement.signed",'
    b'"subject":"agreements/a-%08d","occurred":"%b","data":{"title":"Cooperation on %b in %b, no. %08d",'
    b'"kind":"cooperation","parties":[{"party":"parties/p-%05d"},{"party":"parties/p-%05d","role":"operator"},'
    b'{"party":"parties/p-%05d"}],"scope":["%b"],"place":"%b",'
    b'"summary":"The sides build, run and pay for one shared site for ten years.",'
    b'"evidence":[{"document":"documents/d-%03d","start":643,"end":764}]}}'
)


def day_of(number: int) -> bytes:
    """The day on which agreement `number` was signed: some day from 2010 to 2025."""
    return DAYS[number * 37 % 5_000]


def signatories(number: int, parties: int) -> tuple[int, int, int]:
    """Three different parties out of so many (at least three), each of which signs as often as any other."""
    apart = 1 + number // parties % ((parties - 1) // 2)
    return number % parties, (number + apart) % parties, (number + 2 * apart) % parties


def signed(number: int, parties: int) -> bytes:
    """One agreement between three parties, signed; some 590 bytes."""
    field, place = FIELDS[number % len(FIELDS)], PLACES[number % len(PLACES)]
    return _SIGNED % (
        number,
        number,
        day_of(number),
        field,
        place,
        number,
        *signatories(number, parties),
        field,
        place,
        number % DOCUMENTS,
    )


def known(parties: int) -> list[bytes]:
    """What the others speak of: the parties, and the documents that evidence cites."""
    events = [
        _event(
            b"party", n, b"party.registered", b"parties/p-%05d" % n, b'"name":"Party number %d","kind":"company"' % n
        )
        for n in range(parties)
    ]
    events += [
        _event(
            b"document",
            n,
            b"document.registered",
            b"documents/d-%03d" % n,
            b'"title":"Report number %d","sha256":"%064x"' % (n, n),
        )
        for n in range(DOCUMENTS)
    ]
    return events


def life(number: int, parties: int) -> list[bytes]:
    """One agreement from its signature on: six events, of which the first is by far the largest."""
    subject = b"agreements/a-%08d" % number
    later = DAYS[number * 37 % 5_000 + 200 + number % 500]
    ratifying, other, _ = signatories(number, parties)
    commitment = b'"commitment":"site-%d",' % (number % 3)
    return [
        signed(number, parties),
        _event(b"ratified-a", number, b"agreement.ratified", subject, b'"party":"parties/p-%05d"' % ratifying, later),
        _event(b"ratified-b", number, b"agreement.ratified", subject, b'"party":"parties/p-%05d"' % other, later),
        _event(b"in-force", number, b"agreement.entered-into-force", subject, b"", later),
        _event(
            b"made",
            number,
            b"agreement.commitment-made",
            subject,
            commitment + b'"kind":"facility","title":"A site for it","by":["parties/p-%05d"],"due":"2030"' % other,
            later,
        ),
        _event(
            b"updated",
            number,
            b"agreement.commitment-updated",
            subject,
            commitment + b'"status":"in-progress"',
            DAYS[-1],
        ),
    ]


def write_signed(path: Path, count: int, parties: int) -> int:
    """An import of agreements signed; how many events it has in all."""
    return _write(path, (*known(parties), *(signed(number, parties) for number in range(count))))


def write_lives(path: Path, agreements: int, parties: int) -> int:
    """An import of whole lives of agreements, one after the other; how many events it has in all."""
    lives = (event for number in range(agreements) for event in life(number, parties))
    return _write(path, (*known(parties), *lives))


def fresh(first: int, parties: int) -> Iterator[bytes]:
    """Agreements signed, without end."""
    number = first
    while True:
        yield signed(number, parties)
        number += 1


def _write(path: Path, events: tuple[bytes, ...]) -> int:
    path.write_bytes(b"\n".join(events) + b"\n")
    return len(events)


def _event(name: bytes, number: int, type_: bytes, subject: bytes, data: bytes, day: bytes = b"") -> bytes:
    occurred = b'"occurred":"%b",' % day if day else b""
    return (_HEAD % (name, number, type_, subject)) + occurred + b'"data":{' + data + b"}}"
