"""The command `explain`: what a word of the registry means."""

from __future__ import annotations

import click


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="WORD")
def explain(words: tuple[str, ...]) -> None:
    """Say what an event type, field, status, filter, problem or metric means.

    For example: registry explain bound, registry explain agreement.signed, registry explain certainty.
    """
    from service.vocabulary import explain as found  # here, as it imports much

    word = "-".join(words)
    entries = found(word)
    if not entries:
        raise click.ClickException(f"no word of the registry is {word!r}")
    for each in entries:
        of = f" of {each.of}" if each.of else ""
        click.echo(f"{each.word} ({each.what}{of}): {each.sentence}")
