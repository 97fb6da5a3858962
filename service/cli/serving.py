"""The commands `serve` and `openapi`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from shlex import quote

import click
import orjson

from service.app import api_document
from service.cli.options import VERSION, Failed, settings_of, settings_options
from service.event_log import LogError
from service.lock import InUse
from service.server import FIRST_KEY, CannotServe, Started
from service.server import serve as serve_until_stopped
from service.store import OtherOrigin
from service.transparency.signing import CannotSign

_EXAMPLE = {
    "specversion": "1.0",
    "id": "united-nations",
    "source": "https://www.un.org/en/about-us",
    "type": "party.registered",
    "subject": "parties/united-nations",
    "occurred": "1945-10-24",
    "data": {"name": {"en": "United Nations", "fr": "Nations Unies"}, "kind": "international-organization"},
}
"""An event that needs no other event, and may be posted any number of times."""


@click.command()
@settings_options("data", "host", "port", "origin", "read", "rate", "cors", "signing_key", "witnesses")
@click.option("--seeds", type=click.Path(path_type=Path), help="Directory of seed files to record if the log is empty.")
@click.option(
    "--first-key",
    is_flag=True,
    help=f"On first start create a key `{FIRST_KEY}` and print it. Scopes: post, and read if reading needs a key.",
)
def serve(
    seeds: Path | None,
    first_key: bool,
    **flags: str | None,
) -> None:
    """Serve the registry until SIGTERM or Ctrl-C."""
    settings = settings_of(**flags)
    try:
        asyncio.run(serve_until_stopped(settings, seeds=seeds, first_key=first_key, started=_print_start))
    except InUse as error:
        raise Failed(f"{error}: stop it first, or name another directory with --data") from None
    except (CannotServe, CannotSign, LogError, OtherOrigin) as error:
        raise Failed(str(error)) from None
    except OSError as error:
        raise Failed(f"{settings.data}: {error.strerror or error}") from None


def _print_start(started: Started) -> None:
    click.echo(f"Agreement Registry {VERSION} serves {started.url}")
    click.echo(f"API document: {started.url}/docs")
    click.echo(f"Verifier key of the log: {started.verifier.text}")
    if started.key is None:
        click.echo("Create a key with: registry keys create NAME --scope post")
    else:
        event = json.dumps(_EXAMPLE, separators=(",", ":"))
        scopes = " and ".join(started.scopes)
        click.echo(f"\nKey with scope {scopes}, named {FIRST_KEY}, shown only now:\n\n  {started.key}\n")
        click.echo("This line records an event with it:\n")
        click.echo(
            f"  curl -sS {started.url}/v1/events -H {quote(f'Authorization: Bearer {started.key}')}"
            f" -H 'Content-Type: application/cloudevents+json' -d {quote(event)}\n"
        )


@click.command()
def openapi() -> None:
    """Print the API document (OpenAPI 3.1)."""
    click.echo(orjson.dumps(api_document(), option=orjson.OPT_INDENT_2))
