"""The command `audit`: checks a log of a data directory, a server or a static export, and prints the report."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
import orjson

from domain.tlog_formats import COSIGNATURE, ED25519
from service.audit.checkpoints import CannotAudit, NoCheckpoint, read_saved, read_verifier, save_checkpoint
from service.audit.document_texts import AuditorText
from service.audit.report import Verdict
from service.audit.run import AuditOptions, failed_report
from service.audit.run import audit as run
from service.audit.targets import open_source
from service.cli.options import Inconclusive, progress, settings_of, settings_options
from service.worker_pool import OBJECTS

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("target", required=False)
@settings_options("data")
@click.option("--key", envvar="REGISTRY_KEY", help="For a server: a key with the scope read. [env REGISTRY_KEY]")
@click.option("--vkey", help="The log's verifier key from a source you trust, or a file that holds it.")
@click.option("--since", type=_FILE, help="A checkpoint you saved: the log must continue it.")
@click.option("--save", type=_FILE, help="File for the log's checkpoint if the audit passes, for the next --since.")
@click.option(
    "--witness", "witnesses", multiple=True, help="Verifier key of a witness you trust; several may be given."
)
@click.option(
    "--quorum", type=click.IntRange(min=0), default=0, help="How many witnesses must have cosigned. [default 0]"
)
@click.option(
    "--documents",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A cited text, or a directory of them, to check quotations against; several may be given.",
)
@click.option("--no-evidence", is_flag=True, help="Skip the texts of documents and their quotations.")
@click.option("--no-views", is_flag=True, help="Skip the check of the views, which takes most of the time.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def audit(
    target: str | None,
    data: str | None,
    key: str | None,
    vkey: str | None,
    since: Path | None,
    save: Path | None,
    witnesses: Sequence[str],
    quorum: int,
    documents: Sequence[Path],
    no_evidence: bool,
    no_views: bool,
    as_json: bool,
) -> None:
    """Check a whole log, and all data derived from it, from its bytes.

    TARGET is the address of a server, a data directory or the file of a log in it (also while a server runs on it), or
    a directory written by `registry export --tiles`. Default: the data directory.

    \b
    Checks:
      signature    the checkpoint is of this log and signed by its key
      witnesses    the checkpoint is cosigned (--witness)
      files        the databases are not damaged
      order        positions and versions have no gap, times never go back, no event has the name of another
      entries      each log entry is in canonical form, and agrees with the columns beside it
      data         each event's data has the hash in its entry
      redactions   data is missing only where a later event erased it
      tiles        the stored or served tree is the tree of the entries
      root         its root is the signed one
      since        it continues the checkpoint you saved (--since)
      texts        the texts of documents are those that were stored
      evidence     quotations are in those texts, or in yours (--documents)
      views        the views equal views folded again from the log

    A log that was rewritten and signed again with its own key passes all checks but `since` and `witnesses`: save a
    checkpoint (--save) and give it to the next audit (--since).

    The views are folded in a temporary directory (TMPDIR), where they take as much space as in the data directory.

    Exit status: 0 pass; 1 fail, with the position, subject and field of each finding; 2 inconclusive.
    """
    if target is not None and data is not None:
        raise click.UsageError("TARGET and --data cannot be used together")
    signing_key = None
    if target is None:
        settings = settings_of(data=data)
        target, signing_key = str(settings.data), settings.signing_key
    if quorum > len(witnesses):
        raise click.UsageError(f"--quorum {quorum} needs as many witnesses: name them with --witness")
    gc.set_threshold(OBJECTS, 50, 50)
    try:
        request = AuditOptions(
            None if vkey is None else read_verifier(vkey, ED25519, "--vkey"),
            None if since is None else read_saved(since),
            [read_verifier(text, COSIGNATURE, "--witness") for text in witnesses],
            quorum,
            [AuditorText.of(path) for path in _files(documents)],
            not no_evidence,
            not no_views,
            as_json,
        )
        with closing(open_source(target, key, signing_key)) as source, progress("Auditing", source.head) as advance:
            report = run(source, request, advance)
            signed = source.signed
        if save is not None and report.verdict is Verdict.PASS:
            save_checkpoint(save, signed)
    except NoCheckpoint as error:
        report = failed_report(target, str(error))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - exit status 1 would mean that the audit failed the log
        reason = _reason(error)
        if as_json:
            _print_json({"target": target, "verdict": Verdict.INCONCLUSIVE, "status": 2, "reason": reason})
        raise Inconclusive(reason) from None
    if as_json:
        _print_json(report.document)
    else:
        click.echo("\n".join(report.lines))
    sys.exit(report.verdict.status)


def _reason(error: BaseException) -> str:
    """Return why an audit could not be made, in one line."""
    match error:
        case CannotAudit():
            return str(error)
        case KeyboardInterrupt():
            return "interrupted"
        case OSError(filename=name, strerror=reason) if reason:
            return f"{name}: {reason}" if name else reason
        case _:
            return " ".join(f"the audit failed: {type(error).__name__}: {error}".split())


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the named files, and the files in the named directories."""
    found: list[Path] = []
    for path in paths:
        found += sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    return found


def _print_json(document: object) -> None:
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
