"""What can be set from outside: flags, then the environment, then defaults. Checked once at start; never changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from domain.tlog_formats import COSIGNATURE, NoteError, Verifier, parse_verifier

_ORIGIN = re.compile(r"[!-*,-~]{1,255}", re.ASCII)
_WEB_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
DEFAULTS: Mapping[str, str] = {"data": "./data", "host": "127.0.0.1", "port": "8080", "read": "open", "rate": ""}
DEFAULT_RATE = 100.0
"""Requests a second that one client may read where the registry listens on more than this machine."""
NAMES = ("data", "host", "port", "log", "origin", "read", "rate", "cors", "signing_key", "witnesses")


class SettingsError(Exception):
    """An option or a value that cannot be. Its text is one line that says what would be right."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Who is asked to cosign checkpoints: the key that does, and the address that `/add-checkpoint` is added to."""

    verifier: Verifier
    url: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How one process of the registry runs. `port` 0 takes any free one; `origin` None leaves the log's name to it.

    `rate` is how many requests a second one client may read, 0 any number. `cors` is the origins whose pages may read
    answers, None: any where reading is open, else none. `signing_key` None: the log's own, in its
    directory.
    """

    data: Path = Path("data")
    host: str = "127.0.0.1"
    port: int = 8080
    origin: str | None = None
    read: Literal["open", "key"] = "open"
    rate: float = 0
    cors: tuple[str, ...] | None = None
    signing_key: Path | None = None
    witnesses: tuple[Witness, ...] = ()

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins whose pages may read answers; `*` is any."""
        if self.cors is not None:
            return self.cors
        return ("*",) if self.read == "open" else ()

    @classmethod
    def of(cls, flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
        """The settings that these flags and this environment give. Raises SettingsError.

        A flag has the name of its field, a variable that name in capitals after `REGISTRY_`. What is empty counts as
        not given.
        """
        if unknown := sorted(set(flags) - set(NAMES)):
            raise SettingsError(f"there is no option {unknown[0]!r}; there are {', '.join(NAMES)}")
        given = {name: flags.get(name) or environ.get(_variable(name)) or DEFAULTS.get(name) for name in NAMES}
        if given["log"]:
            raise SettingsError(f"{_variable('log')}: leave it out; the log is kept in SQLite in the data directory")
        origin = given["origin"]
        if origin and not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"{_variable('origin')}: {origin!r} is no name for a log; a name such as example.org/registry has no"
                " spaces and no plus sign"
            )
        return cls(
            _data(given["data"] or ""),
            _host(given["host"] or ""),
            _port(given["port"]),
            origin,
            _read(given),
            _rate(given["rate"], given["host"] or ""),
            _cors(given["cors"]),
            _signing_key(given["signing_key"]),
            tuple(_witness(text) for text in (given["witnesses"] or "").split(",") if text.strip()),
        )


def _variable(name: str) -> str:
    return f"REGISTRY_{name.upper()}"


def _data(text: str) -> Path:
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise SettingsError(f"{_variable('data')}: {text!r} is a file; a directory is needed")
    return path


def _host(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z.:_%-]{1,255}", text, re.ASCII):
        raise SettingsError(f"{_variable('host')}: {text!r} is no host; an address or a name such as 127.0.0.1 is")
    return text


def _port(text: str | None) -> int:
    if text is None or not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) > 65535:
        raise SettingsError(f"{_variable('port')}: {text!r} is no port; a number from 0 to 65535 is")
    return int(text)


def _rate(text: str | None, host: str) -> float:
    if not text:
        return 0 if _is_loopback(host) else DEFAULT_RATE
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text, re.ASCII):
        raise SettingsError(
            f"{_variable('rate')}: {text!r} is no rate; a number of requests a second, or 0 for any, is"
        )
    return float(text)


def _cors(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    if origins == ("none",):
        return ()
    for each in origins:
        if each != "*" and not _WEB_ORIGIN.fullmatch(each):
            raise SettingsError(
                f"{_variable('cors')}: {each!r} is no origin; https://example.org is, * is any, and none is none"
            )
    return origins


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _signing_key(text: str | None) -> Path | None:
    if text is None:
        return None
    if not Path(text).is_file():
        raise SettingsError(f"{_variable('signing_key')}: {text!r} is no file; the file of the log's signing key is")
    return Path(text)


def _witness(text: str) -> Witness:
    match text.split():
        case [key, url] if _is_address(url):
            try:
                return Witness(parse_verifier(key, COSIGNATURE), url.rstrip("/"))
            except NoteError as error:
                flaw = str(error)
        case _:
            flaw = "a witness is <verifier key> <http or https address>, and a comma stands between two"
    raise SettingsError(f"{_variable('witnesses')}: {text.strip()!r}: {flaw}")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _read(given: Mapping[str, str | None]) -> Literal["open", "key"]:
    match given["read"]:
        case "open":
            return "open"
        case "key":
            return "key"
        case other:
            raise SettingsError(f"{_variable('read')}: {other!r} is neither 'open' nor 'key'")
