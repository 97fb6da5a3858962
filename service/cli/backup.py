"""The commands `backup` and `restore`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from service.backup import BackupError, back_up
from service.backup import restore as restore_backup
from service.cli.options import Failed, settings_of, settings_options
from service.data_directory import CHECKPOINT
from service.event_log import LogError
from service.event_log.scan import Damaged
from service.lock import InUse
from service.transparency.checkpoint import NotContinued
from service.transparency.signing import CannotSign

_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("directory", type=_DIRECTORY)
@settings_options("data", "signing_key")
def backup(directory: Path, data: str | None, signing_key: str | None) -> None:
    """Copy the registry into DIRECTORY, which is new, also while it is served.

    The copy holds the log, the keys, the signing key and the last checkpoint as of one moment, and is verified. Protect
    it like the data directory: it holds the signing key, and data that may be erased later.
    """
    with _failures():
        backup_ = back_up(settings_of(data=data, signing_key=signing_key), directory)
    signed = f"the checkpoint of {backup_.signed} events" if CHECKPOINT in backup_.files else "no checkpoint"
    click.echo(f"{directory} holds {backup_.events} events, {backup_.keys} keys and {signed}, all verified", err=True)


@click.command()
@click.argument("directory", type=_DIRECTORY)
@click.option("--replace", is_flag=True, help="Move the present log aside, and put the backup in its place.")
@settings_options("data")
def restore(directory: Path, replace: bool, data: str | None) -> None:
    """Restore the backup in DIRECTORY into the data directory, which no server uses.

    The last signed checkpoint and the revoked keys of the data directory stay.
    """
    settings = settings_of(data=data)
    with _failures():
        restored = restore_backup(settings, directory, replace=replace)
    events, signed = restored.backup.events, restored.signed
    click.echo(f"{settings.data} holds the {events} events of {directory}, made at {restored.backup.made}", err=True)
    if restored.aside is not None:
        click.echo(f"the files that were replaced are in {restored.aside}", err=True)
    if not restored.keeps_revocations and restored.backup.keys:
        click.echo("keys are as they were then: revoke again the keys that were revoked since", err=True)
    if signed > events:
        click.echo(
            f"the log is behind the last checkpoint: {signed} events were signed, and {signed - events} of them are"
            " missing. Nothing is signed or recorded until a log that holds them is restored",
            err=True,
        )
    else:
        click.echo(f"the log holds all {signed} events of the last signed checkpoint", err=True)


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (BackupError, CannotSign, Damaged, InUse, LogError, NotContinued) as error:
        raise Failed(str(error)) from None
