"""The commands that copy a data directory, and bring a copy back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from service.backup import BackupError, back_up
from service.backup import restore as restore_backup
from service.cli.options import Failed, settings_of, settings_options
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
    """Copy the registry into DIRECTORY, a new one, also while it is served.

    The copy holds the log, the keys, the signing key and the last checkpoint as of one moment, and is verified before
    this command says so. Guard it as the data directory: it holds the signing key, and what is erased later.
    """
    with _failures():
        made = back_up(settings_of(data=data, signing_key=signing_key), directory)
    signed = f"the checkpoint of {made.signed} events" if made.signed or "checkpoint" in made.files else "no checkpoint"
    click.echo(f"{directory} holds {made.events} events, {made.keys} keys and {signed}, all verified", err=True)


@click.command()
@click.argument("directory", type=_DIRECTORY)
@click.option("--replace", is_flag=True, help="Move the log that is there aside, and put the backup in its place.")
@settings_options("data")
def restore(directory: Path, replace: bool, data: str | None) -> None:
    """Bring the backup in DIRECTORY back into the data directory, which nobody serves.

    The last signed checkpoint and the revoked keys that the data directory still has are kept.
    """
    settings = settings_of(data=data)
    with _failures():
        restored = restore_backup(settings, directory, replace=replace)
    events, signed = restored.backup.events, restored.signed
    click.echo(f"{settings.data} holds the {events} events of {directory}, made at {restored.backup.made}", err=True)
    if restored.aside is not None:
        click.echo(f"what was there before is in {restored.aside}", err=True)
    if not restored.keeps_revocations and restored.backup.keys:
        click.echo("keys are as they were then: revoke again those that were revoked since", err=True)
    if signed > events:
        click.echo(
            f"it lies behind the last signed checkpoint: {signed} events were signed, and {signed - events} of them are"
            " missing; until a log that holds them is restored, nothing is signed or recorded",
            err=True,
        )
    else:
        click.echo(f"it holds all {signed} events of the last signed checkpoint", err=True)


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (BackupError, CannotSign, Damaged, InUse, LogError, NotContinued) as error:
        raise Failed(str(error)) from None
