"""Events of the benchmarks: valid, new, about existing parties, the same in every run. Creating them is cheap, so that
it adds little to a measurement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from pathlib import Path

SOURCE = "https://benchmarks.example/load"
DOCUMENTS = 20
DAYS = [(date(2010, 1, 1) + timedelta(days=day)).isoformat().encode() for day in range(5_800)]
FIELDS = (b"solid-state batteries", b"grid storage", b"hydrogen", b"offshore wind", b"recycling", b"charging")
PLACES = (b"Chengdu", b"Shanghai", b"Geneva", b"Lisbon", b"Nairobi", b"Oslo", b"Lima")
FIELDS_ZH = tuple(name.encode() for name in ("固态电池", "电网储能", "氢能", "海上风电", "电池回收", "充电设施"))
PLACES_ZH = tuple(name.encode() for name in ("成都", "上海", "日内瓦", "里斯本", "内罗毕", "奥斯陆", "利马"))

_HEAD = b'{"specversion":"1.0","id":"%%b-%%08d","source":"%b","type":"%%b","subject":"%%b",' % SOURCE.encode()
_SIGNED = (
    b'{"specversion":"1.0","id":"signed-%08d","source":"' + SOURCE.encode() + b'","type":"agreement.signed",'
    b'"subject":"agreements/a-%08d","occurred":"%b","data":{"title":%b,'
    b'"kind":"cooperation","parties":[{"party":"parties/p-%05d"},{"party":"parties/p-%05d","role":"operator"},'
    b'{"party":"parties/p-%05d"}],"scope":["%b"],"place":"%b",'
    b'"summary":"The sides build, run and pay for one shared site for ten years.",'
    b'"evidence":[{"document":"documents/d-%03d","start":643,"end":764}]}}'
)
_TITLE = b'"Cooperation on %b in %b, no. %08d"'
_TITLES = b'{"en":' + _TITLE + ',"zh":"关于在%b合作开发%b的协议"}'.encode()
_NUMERALS = str.maketrans("0123456789", "零一二三四五六七八九")


def day_of(number: int) -> bytes:
    """Return the day on which agreement `number` was signed: a day from 2010 to 2025."""
    return DAYS[number * 37 % 5_000]


def signatories(number: int, parties: int) -> tuple[int, int, int]:
    """Return three different parties of so many (at least three). Each party signs equally often."""
    apart = 1 + number // parties % ((parties - 1) // 2)
    return number % parties, (number + apart) % parties, (number + 2 * apart) % parties


def signed(number: int, parties: int) -> bytes:
    """Return the signature of an agreement by three parties, of some 590 bytes. Two of five have a Chinese title
    too."""
    field, place = FIELDS[number % len(FIELDS)], PLACES[number % len(PLACES)]
    if number % 5 < 2:
        names = PLACES_ZH[number % len(PLACES)], FIELDS_ZH[number % len(FIELDS)]
        title = _TITLES % (field, place, number, *names)
    else:
        title = _TITLE % (field, place, number)
    return _SIGNED % (
        number,
        number,
        day_of(number),
        title,
        *signatories(number, parties),
        field,
        place,
        number % DOCUMENTS,
    )


def party(number: int) -> bytes:
    """Return the registration of a party, with a name in English and one in Chinese."""
    name_zh = f"第{f'{number:05d}'.translate(_NUMERALS)}公司".encode()
    name = b'"name":{"en":"Party number %d","zh":"%b"},"kind":"company"' % (number, name_zh)
    return event(b"party", number, b"party.registered", b"parties/p-%05d" % number, name)


def known(parties: int) -> list[bytes]:
    """Return the parties and documents that the other events name."""
    events = [party(number) for number in range(parties)]
    events += [
        event(
            b"document",
            n,
            b"document.registered",
            b"documents/d-%03d" % n,
            b'"title":"Report number %d","sha256":"%064x"' % (n, n),
        )
        for n in range(DOCUMENTS)
    ]
    return events


def lifespan(number: int, parties: int) -> list[bytes]:
    """Return the six events of an agreement, from its signature on. The first is by far the largest."""
    subject = b"agreements/a-%08d" % number
    later = DAYS[number * 37 % 5_000 + 200 + number % 500]
    ratifying, other, _ = signatories(number, parties)
    commitment = b'"commitment":"site-%d",' % (number % 3)
    return [
        signed(number, parties),
        event(b"ratified-a", number, b"agreement.ratified", subject, b'"party":"parties/p-%05d"' % ratifying, later),
        event(b"ratified-b", number, b"agreement.ratified", subject, b'"party":"parties/p-%05d"' % other, later),
        event(b"in-force", number, b"agreement.entered-into-force", subject, b"", later),
        event(
            b"made",
            number,
            b"agreement.commitment-made",
            subject,
            commitment + b'"kind":"facility","title":"A site for it","by":["parties/p-%05d"],"due":"2030"' % other,
            later,
        ),
        event(
            b"updated",
            number,
            b"agreement.commitment-updated",
            subject,
            commitment + b'"status":"in-progress"',
            DAYS[-1],
        ),
    ]


def write_signed(path: Path, count: int, parties: int) -> int:
    """Write an import of signed agreements, and return its number of events."""
    return write(path, chain(known(parties), (signed(number, parties) for number in range(count))))


def write_lifespans(path: Path, agreements: int, parties: int) -> int:
    """Write an import of whole lifespans of agreements, one after the other, and return its number of events."""
    lifespans = (event for number in range(agreements) for event in lifespan(number, parties))
    return write(path, chain(known(parties), lifespans))


@dataclass(frozen=True, slots=True)
class NewAgreements:
    """Signed agreements from number `first` on, without end."""

    first: int
    parties: int

    def __iter__(self) -> Iterator[bytes]:
        number = self.first
        while True:
            yield signed(number, self.parties)
            number += 1


def write(path: Path, events: Iterable[bytes]) -> int:
    """Write the events as lines of a file, and return their number."""
    count = 0
    with path.open("wb") as file:
        for each in events:
            file.write(each + b"\n")
            count += 1
    return count


def event(name: bytes, number: int, type_: bytes, subject: bytes, data: bytes, day: bytes = b"") -> bytes:
    """Return an event, identified by its name and number."""
    occurred = b'"occurred":"%b",' % day if day else b""
    return (_HEAD % (name, number, type_, subject)) + occurred + b'"data":{' + data + b"}}"
