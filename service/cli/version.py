"""The command that prints the version. It imports nothing of the registry, so that it answers at once."""

from __future__ import annotations

from importlib.metadata import version as version_of

import click


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(version_of("agreement-registry"))
