"""Settings: what an operator can set, from options of the command line, then the environment, then defaults.

They are checked once, at start, and never change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.tlog_formats import COSIGNATURE, NoteError, Verifier, parse_verifier

_HOST = re.compile(r"[0-9A-Za-z.:_%-]{1,255}", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_RATE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?", re.ASCII)
_ORIGIN = re.compile(r"[!-*,-~]{1,255}", re.ASCII)
_WEB_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_PREFIX = "REGISTRY_"
DEFAULT_RATE = 100.0
"""Requests per second that one client may read if other machines can reach the registry."""


class SettingsError(Exception):
    """An unknown option or an invalid value. The text is one line and says what would be valid."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness that cosigns checkpoints: its verifier, and the address to which `/add-checkpoint` is appended."""

    verifier: Verifier
    url: str


def _valid_data(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise ValueError("this is a file, and a directory is needed")
    return path


def _valid_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("a host is an address or a name, such as 127.0.0.1")
    return text


def _valid_port(value: object) -> int:
    if not _PORT.fullmatch(str(value)) or int(str(value)) > 65535:
        raise ValueError("a port is a number from 0 to 65535")
    return int(str(value))


def _valid_log(value: object) -> None:
    if value is not None:
        raise ValueError("leave it out; the log is in SQLite, in the data directory")


def _valid_origin(text: str | None) -> str | None:
    if text is not None and not _ORIGIN.fullmatch(text):
        raise ValueError("the name of a log has no spaces and no plus sign, as in example.org/registry")
    return text


def _valid_rate(value: object) -> float:
    if not _RATE.fullmatch(str(value)):
        raise ValueError("a rate is a number of requests per second, and 0 means no limit")
    return float(str(value))


def _parse_cors(value: object) -> object:
    if not isinstance(value, str):
        return value
    origins = tuple(part.strip() for part in value.split(",") if part.strip())
    if origins == ("none",):
        return ()
    for each in origins:
        if each != "*" and not _WEB_ORIGIN.fullmatch(each):
            raise ValueError(f"{each!r} is not an origin, and https://example.org is; * is any origin, none is none")
    return origins


def _valid_signing_key(path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise ValueError("there is no such file; give the file of the log's signing key")
    return path


def _parse_witnesses(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(_witness(text) for text in value.split(",") if text.strip())


def _witness(text: str) -> Witness:
    match text.split():
        case [key, url] if _is_address(url):
            try:
                return Witness(parse_verifier(key, COSIGNATURE), url.rstrip("/"))
            except NoteError as error:
                raise ValueError(f"{text.strip()!r}: {error}") from None
        case _:
            raise ValueError(
                f"{text.strip()!r}: a witness is <verifier key> <http or https address>, with a comma between two"
            )


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _default_rate(fields: Mapping[str, Any]) -> float:
    return 0 if _is_loopback(fields["host"]) else DEFAULT_RATE


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Settings(BaseSettings):
    """The settings of one process. The description of a field is the help text of its option.

    The environment variable of a field is its name in capitals after `REGISTRY_`.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        enable_decoding=False,  # lists have commas between their items, and are not JSON
        extra="forbid",
        frozen=True,
    )

    data: Annotated[Path, AfterValidator(_valid_data)] = Field(
        Path("data"), description="Directory of the log and everything else. [env REGISTRY_DATA; default ./data]"
    )
    host: Annotated[str, AfterValidator(_valid_host)] = Field(
        "127.0.0.1", description="Address to listen on. [env REGISTRY_HOST; default 127.0.0.1]"
    )
    port: Annotated[int, BeforeValidator(_valid_port)] = Field(
        8080, description="Port to listen on; 0 takes any free port. [env REGISTRY_PORT; default 8080]"
    )
    log: Annotated[None, BeforeValidator(_valid_log)] = Field(
        None, description="Reserved for a log in another database. [env REGISTRY_LOG]"
    )
    origin: Annotated[str | None, AfterValidator(_valid_origin)] = Field(
        None,
        description="Name of the log, such as example.org/registry, fixed at first start. [env REGISTRY_ORIGIN]",
    )
    read: Literal["open", "key"] = Field(
        "open", description="Who may read: everyone (open), or clients with a key. [env REGISTRY_READ; default open]"
    )
    rate: Annotated[float, BeforeValidator(_valid_rate)] = Field(
        default_factory=_default_rate,
        description="Requests per second of one reader; 0: no limit. "
        "[env REGISTRY_RATE; default 0 on loopback, else 100]",
    )
    cors: Annotated[tuple[str, ...] | None, BeforeValidator(_parse_cors)] = Field(
        None,
        description="Origins whose pages may read: *, none, or origins with commas between. "
        "[env REGISTRY_CORS; default * if reading is open, else none]",
    )
    signing_key: Annotated[Path | None, AfterValidator(_valid_signing_key)] = Field(
        None,
        description="File of the log's signing key. [env REGISTRY_SIGNING_KEY; default log.key in the data directory]",
    )
    witnesses: Annotated[tuple[Witness, ...], BeforeValidator(_parse_witnesses)] = Field(
        (), description="Witnesses that cosign: `KEY URL` of each, with commas between. [env REGISTRY_WITNESSES]"
    )

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins whose pages may read answers; `*` is any origin."""
        if self.cors is not None:
            return self.cors
        return ("*",) if self.read == "open" else ()

    @classmethod
    def load(cls, options: Mapping[str, str | None]) -> Self:
        """Return the settings from these options, the environment and the defaults. Raises SettingsError.

        An option has the name of its field. An empty value counts as absent.
        """
        try:
            return cls.model_validate({name: value for name, value in options.items() if value})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise SettingsError(f"there is no option {name!r}; the options are {', '.join(cls.model_fields)}")
        reason = first.get("ctx", {}).get("error", first["msg"])
        raise SettingsError(f"{_PREFIX}{name.upper()}: {first['input']!r} is refused: {reason}")
