"""Shared parts of commands: options of settings, a progress bar, and output to a file."""

from __future__ import annotations

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


class Failed(click.ClickException):
    """The command failed. The text is one line that says why."""


class Inconclusive(Failed):
    """A check could not be made. Exit status 1 would mean that it was made and failed."""

    exit_code = 2


def settings_options(*names: str) -> Callable[[C], C]:
    """Return a decorator that adds the options of these settings; their values go to `settings_of`."""

    def decorate(command: C) -> C:
        for name in reversed(names):
            command = click.option(
                f"--{name.replace('_', '-')}", metavar=name.upper(), help=Settings.model_fields[name].description
            )(command)
        return command

    return decorate


def settings_of(**options: str | None) -> Settings:
    """Return the settings from options, environment and defaults. Raises UsageError with one line of text."""
    try:
        return Settings.load(options)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


@contextmanager
def progress(label: str, length: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error, and yield the function that advances it.

    No bar is shown if standard error is not a terminal, or the length is not known.
    """
    hidden = length is None or not sys.stderr.isatty()
    with click.progressbar(length=length or 0, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update


@contextmanager
def output(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Yield a function that writes bytes to the file at `path`, or to standard output if there is no path."""
    if path is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    try:
        with path.open("wb") as file:
            yield file.write
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None
