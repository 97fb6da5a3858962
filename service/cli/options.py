"""What commands have in common: options that become settings, a bar for what takes long, where output goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import click

from service.settings import Settings, SettingsError

C = TypeVar("C", bound=Callable[..., Any])
VERSION = version("agreement-registry")

_SETTINGS = {
    "data": "Directory that holds everything. [env REGISTRY_DATA; default ./data]",
    "host": "Address to listen on. [env REGISTRY_HOST; default 127.0.0.1]",
    "port": "Port to listen on; 0 takes any that is free. [env REGISTRY_PORT; default 8080]",
    "origin": "The log's name, such as example.org/registry, fixed at first start. [env REGISTRY_ORIGIN]",
    "read": "Who may read: open, or key. [env REGISTRY_READ; default open]",
    "rate": "Requests a second of one reader; 0: any number. [env REGISTRY_RATE; default 0 on loopback, else 100]",
    "cors": "Whose pages may read: *, none or origins. [env REGISTRY_CORS; default * if reading is open]",
    "signing_key": "File of the log's signing key. [env REGISTRY_SIGNING_KEY; default log.key in the data directory]",
    "witnesses": "Who cosigns: `KEY URL` of each, with commas between. [env REGISTRY_WITNESSES]",
}


class Failed(click.ClickException):
    """What was asked could not be done; says so in one line."""


class CouldNot(Failed):
    """What was to be found out could not be; exit code 1 means here that it was, and is bad."""

    exit_code = 2


def settings_options(*names: str) -> Callable[[C], C]:
    """The options of these names; their values go to `settings_of`."""

    def decorate(command: C) -> C:
        for name in reversed(names):
            command = click.option(f"--{name.replace('_', '-')}", metavar=name.upper(), help=_SETTINGS[name])(command)
        return command

    return decorate


def settings_of(**flags: str | None) -> Settings:
    """The settings by flags, environment and defaults. Raises UsageError, in one line that says what would be right."""
    try:
        return Settings.of(flags, os.environ)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


@contextmanager
def progress(label: str, length: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error that is told each advance; none where that is no terminal, or the length is not known."""
    hidden = length is None or not sys.stderr.isatty()
    with click.progressbar(length=length or 0, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update


@contextmanager
def output(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Where bytes are written to: a file, or standard output where there is no path."""
    if path is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    try:
        with path.open("wb") as file:
            yield file.write
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None
