"""The command `evidence`: stores the texts of documents and reports which quotations fail."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from domain.quotation import Status
from service.cli.options import Inconclusive, progress, settings_of, settings_options
from service.csv_tables import wording
from service.evidence import CannotCheck, CheckedDocument, Outcome, check_files, local_registry, remote_registry
from service.settings import Settings

SHOWN = 20


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)
)
@settings_options("data")
@click.option("--url", help="Address of a server, such as http://127.0.0.1:8080, instead of --data.")
@click.option("--key", envvar="REGISTRY_KEY", help="With --url: a key with the scope post. [env REGISTRY_KEY]")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def evidence(files: tuple[Path, ...], data: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Check every citation of the documents whose texts are in FILES.

    Each file is stored as the text of the document that was registered with its SHA-256. Exit status: 1 if a quotation
    is false or a file belongs to no document, 2 if a file could not be checked.
    """
    if url is not None and data is not None:
        raise click.UsageError("--url and --data cannot be used together")
    settings = settings_of(data=data) if url is None else None
    try:
        with progress("Checking", len(files)) as advance:
            outcomes = asyncio.run(_outcomes(files, settings, url or "", key, advance))
    except CannotCheck as error:
        raise Inconclusive(str(error)) from None
    except OSError as error:
        raise Inconclusive(f"{error.filename}: {error.strerror}") from None
    if as_json:
        click.echo(orjson.dumps([_as_json(outcome) for outcome in outcomes], option=orjson.OPT_INDENT_2))
    else:
        for outcome in outcomes:
            for line in _lines(outcome):
                click.echo(line)
    if any(outcome.refusal is not None for outcome in outcomes):
        sys.exit(2)
    if not all(outcome.is_fine for outcome in outcomes):
        sys.exit(1)


async def _outcomes(
    files: Sequence[Path], settings: Settings | None, url: str, key: str | None, advance: Callable[[int], None]
) -> list[Outcome]:
    outcomes = []
    async with remote_registry(url, key) if settings is None else local_registry(settings) as registry:
        async for outcome in check_files(registry, files):
            outcomes.append(outcome)
            advance(1)
    return outcomes


def _as_json(outcome: Outcome) -> dict[str, Any]:
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


def _lines(outcome: Outcome) -> Iterator[str]:
    if outcome.refusal is not None:
        yield f"{outcome.path}: {outcome.refusal}"
    elif not outcome.documents:
        yield f"{outcome.path}: belongs to no registered document"
    for document in outcome.documents:
        yield f"{outcome.path}: {document.subject}, {wording(document.title) if document.title else 'without a title'}"
        yield f"  {_summary(document)}"
        for passage in document.failed[:SHOWN]:
            yield f"  failed: {_failure(passage)}"
        if len(document.failed) > SHOWN:
            yield f"  and {len(document.failed) - SHOWN} more failed; --json lists all"


def _summary(document: CheckedDocument) -> str:
    counts, used = document.counts, document.used
    passages = ", ".join(f"{counts[status]} {status}" for status in Status)
    total = sum(counts.values())
    cited = f"{total} passage{'' if total == 1 else 's'}: {passages}"
    if not used["of"]:  # the text was erased meanwhile
        return cited
    return f"{cited}; they use {used['characters']:,} of {used['of']:,} characters ({used['share']:.1%})"


def _failure(passage: Mapping[str, Any]) -> str:
    """Describe a failed passage: its place, the events that cite it, and its first difference."""
    fact, parts = passage["fact"], passage["difference"]
    place = f"{passage['start']} to {passage['end']}" if "start" in passage else "without a position"
    provenance = f"event {fact['position']}, {fact['type']} of {fact['subject']['subject']}"
    by = "" if passage["event"] == fact["position"] else f", cited by event {passage['event']}"
    if parts["quoted"] is None:
        return f"{place} ({provenance}{by}): the text ends at {parts['at']}"
    differ = f"the text has {parts['text']!r}, the quotation {parts['quoted']!r}"
    return f"{place} ({provenance}{by}): at {parts['at']} {differ}"
