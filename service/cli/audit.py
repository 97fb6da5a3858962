"""The command that trusts nobody: it has a log audited, wherever that is, and says what came of it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
import orjson

from domain.tlog_formats import COSIGNATURE, ED25519
from service.audit.checkpoints import CannotAudit, NoCheckpoint, read_kept, read_verifier
from service.audit.checkpoints import save as keep
from service.audit.document_texts import Brought
from service.audit.report import Verdict
from service.audit.run import Asked, unfit
from service.audit.run import audit as run
from service.audit.targets import open_source
from service.audit.workers import OBJECTS
from service.cli.options import CouldNot, progress, settings_of, settings_options

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("target", required=False)
@settings_options("data")
@click.option("--key", envvar="REGISTRY_KEY", help="Of a server: a key that may read there. [env REGISTRY_KEY]")
@click.option("--vkey", help="The log's verifier key, or a file that holds it, as you know it from elsewhere.")
@click.option("--since", type=_FILE, help="A checkpoint that you kept: the log must be a continuation of it.")
@click.option(
    "--save", type=_FILE, help="Where to keep the log's checkpoint if nothing is wrong, for the next --since."
)
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
    help="A text that is cited, or a directory of them, to check quotations against; several may be given.",
)
@click.option("--no-evidence", is_flag=True, help="Leave out the texts of documents and what is quoted from them.")
@click.option("--no-views", is_flag=True, help="Leave out folding the views anew, which takes most of the time.")
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
    """Check a whole log, and everything that is kept beside it, by its own bytes.

    TARGET is the address of a server, a data directory or the file of a log in it (also while a server runs on it), or
    a directory written by `registry export --tiles`. Default: the data directory.

    \b
    What is checked:
      signature    the checkpoint is the log's, and by its key
      witnesses    who cosigned it (--witness)
      files        the databases are sound
      order        positions and versions without gap, times that never go back, no name twice
      entries      each log entry is in its one form, and agrees with what stands beside it
      data         each event's data is what its entry commits to
      redactions   data is missing only where a later event had it erased
      tiles        the stored or served tree is the one that the entries make
      root         it is the one that was signed
      since        it continues the checkpoint that you kept (--since)
      texts        the texts of documents are those that were stored
      evidence     quotations stand in those texts, or in yours (--documents)
      views        what is answered is what the log says: every view is folded anew and compared

    A log that was rewritten and signed again with its own key passes all but `since` and `witnesses`: keep a checkpoint
    (--save) and bring it the next time (--since).

    The views are folded in a temporary directory (TMPDIR), where they take as much space as in the data directory.

    Exit status: 0 pass; 1 fail, with each finding named by position, subject and field; 2 inconclusive: something could
    not be checked.
    """
    if target is not None and data is not None:
        raise click.UsageError("TARGET and --data do not go together: give one of them")
    signing_key = None
    if target is None:
        settings = settings_of(data=data)
        target, signing_key = str(settings.data), settings.signing_key
    if quorum > len(witnesses):
        raise click.UsageError(f"--quorum {quorum} takes as many witnesses: name them with --witness")
    gc.set_threshold(OBJECTS, 50, 50)
    try:
        asked = Asked(
            None if vkey is None else read_verifier(vkey, ED25519, "--vkey"),
            None if since is None else read_kept(since),
            [read_verifier(text, COSIGNATURE, "--witness") for text in witnesses],
            quorum,
            [Brought.of(path) for path in _files(documents)],
            not no_evidence,
            not no_views,
            as_json,
        )
        with closing(open_source(target, key, signing_key)) as source, progress("Auditing", source.head) as advance:
            report = run(source, asked, advance)
            signed = source.signed
        if save is not None and report.verdict is Verdict.PASS:
            keep(save, signed)
    except NoCheckpoint as error:
        report = unfit(target, str(error))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - an exit status of 1 would say that something was found
        said = _reason(error)
        if as_json:
            _print_json({"target": target, "verdict": Verdict.INCONCLUSIVE, "status": 2, "reason": said})
        raise CouldNot(said) from None
    if as_json:
        _print_json(report.document)
    else:
        click.echo("\n".join(report.lines))
    sys.exit(report.verdict.status)


def _reason(error: BaseException) -> str:
    """Why an audit could not be made, in one line."""
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
    """The files that are named, and those in the directories that are."""
    found: list[Path] = []
    for path in paths:
        found += sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    return found


def _print_json(document: object) -> None:
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
