"""The command that puts the texts of documents in and says which quotations they bear out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from domain.quotation import Status
from service.cli.options import CouldNot, progress, settings_of, settings_options
from service.evidence import CannotCheck, Checked, Outcome, checked, here, there
from service.http.tables import wording
from service.settings import Settings

SHOWN = 20


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)
)
@settings_options("data")
@click.option("--url", help="Address of a registry that is served, such as http://127.0.0.1:8080, instead of --data.")
@click.option("--key", envvar="REGISTRY_KEY", help="With --url: a key that may post there. [env REGISTRY_KEY]")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def evidence(files: tuple[Path, ...], data: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Check every citation of the documents whose texts are in FILES.

    Each file is kept as the text of the document that was registered with its SHA-256. Exits with 1 where a quotation
    is false or a file belongs to no document, with 2 where that could not be found out.
    """
    if url is not None and data is not None:
        raise click.UsageError("--url and --data do not go together: give one of them")
    settings = settings_of(data=data) if url is None else None
    try:
        with progress("Checking", len(files)) as advance:
            outcomes = asyncio.run(_outcomes(files, settings, url or "", key, advance))
    except CannotCheck as error:
        raise CouldNot(str(error)) from None
    except OSError as error:
        raise CouldNot(f"{error.filename}: {error.strerror}") from None
    if as_json:
        click.echo(orjson.dumps([_plain(outcome) for outcome in outcomes], option=orjson.OPT_INDENT_2))
    else:
        for outcome in outcomes:
            for line in _told(outcome):
                click.echo(line)
    if any(outcome.refusal is not None for outcome in outcomes):
        sys.exit(2)
    if not all(outcome.is_fine for outcome in outcomes):
        sys.exit(1)


async def _outcomes(
    files: Sequence[Path], settings: Settings | None, url: str, key: str | None, advance: Callable[[int], None]
) -> list[Outcome]:
    outcomes = []
    async with there(url, key) if settings is None else here(settings) as registry:
        async for outcome in checked(registry, files):
            outcomes.append(outcome)
            advance(1)
    return outcomes


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "file": str(outcome.path),
        "documents": [
            {
                "subject": document.subject,
                "title": document.title,
                "passages": document.counts,
                "used": document.used,
                "failed": document.failed,
            }
            for document in outcome.documents
        ],
        "refused": outcome.refusal,
    }


def _told(outcome: Outcome) -> Iterator[str]:
    if outcome.refusal is not None:
        yield f"{outcome.path}: {outcome.refusal}"
    elif not outcome.documents:
        yield f"{outcome.path}: belongs to no document that is registered"
    for document in outcome.documents:
        yield f"{outcome.path}: {document.subject}, {wording(document.title) if document.title else 'without a title'}"
        yield f"  {_summary(document)}"
        for passage in document.failed[:SHOWN]:
            yield f"  failed: {_failure(passage)}"
        if len(document.failed) > SHOWN:
            yield f"  and {len(document.failed) - SHOWN} more that failed; --json names all"


def _summary(document: Checked) -> str:
    counts, used = document.counts, document.used
    passages = ", ".join(f"{counts[status]} {status}" for status in Status)
    total = sum(counts.values())
    cited = f"{total} passage{'' if total == 1 else 's'}: {passages}"
    if not used["of"]:  # erased again meanwhile
        return cited
    return f"{cited}; they use {used['characters']:,} of {used['of']:,} characters ({used['share']:.1%})"


def _failure(passage: Mapping[str, Any]) -> str:
    """One passage that failed: which it is, by what it is cited, and where it first differs."""
    fact, parts = passage["fact"], passage["difference"]
    place = f"{passage['start']} to {passage['end']}" if "start" in passage else "without a place"
    provenance = f"event {fact['position']}, {fact['type']} of {fact['subject']['subject']}"
    by = "" if passage["event"] == fact["position"] else f", cited by event {passage['event']}"
    if parts["quoted"] is None:
        return f"{place} ({provenance}{by}): the text ends at {parts['at']}"
    return f"{place} ({provenance}{by}): at {parts['at']} the text has {parts['text']!r}, quoted is {parts['quoted']!r}"
