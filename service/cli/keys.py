"""The commands `keys create`, `keys list` and `keys revoke`. They take effect immediately, also while serving."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from service.api_keys import KeyNameTaken, Keys, Scope, read_keys
from service.cli.options import Failed, settings_of, settings_options
from service.data_directory import KEYS, make_directory


@click.group()
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([str(scope) for scope in Scope]),
    required=True,
    help="Scope of the key; may be given several times. admin includes post and read.",
)
@settings_options("data")
def create(name: str, scopes: tuple[str, ...], data: str | None) -> None:
    """Create a key named NAME and print it. It cannot be shown again, as only its hash is stored."""
    root = settings_of(data=data).data
    make_directory(root)
    with closing(Keys(root / KEYS)) as keys_:
        try:
            click.echo(keys_.create(name, scopes))
        except (KeyNameTaken, ValueError) as error:
            raise Failed(str(error)) from None


@keys.command("list")
@settings_options("data")
def list_(data: str | None) -> None:
    """List all keys: name, scopes, and when each was created and revoked."""
    for key in read_keys(_existing(data)):
        ended = f"revoked {key.revoked}" if key.revoked else "in use"
        click.echo("\t".join((key.name, ",".join(sorted(key.scopes)), key.created, ended)))


@keys.command()
@click.argument("name")
@settings_options("data")
def revoke(name: str, data: str | None) -> None:
    """Revoke the key named NAME, immediately and for ever."""
    with closing(Keys(_existing(data))) as keys_:
        if not keys_.revoke(name):
            raise Failed(f"no key named {name!r} is in use; registry keys list shows all keys")


def _existing(data: str | None) -> Path:
    root = settings_of(data=data).data
    if not (root / KEYS).exists():
        raise Failed(f"there are no keys in {root}; --data names the directory")
    return root / KEYS
