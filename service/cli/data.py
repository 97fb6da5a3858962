"""The commands `import`, `export` and `rebuild`."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import click
import orjson

from projections.engine.query_types import BadQuestion
from service.cli.options import Failed, output, progress, settings_of, settings_options
from service.data_directory import LOG
from service.event_log import LogError
from service.exports import NAMES, LogExport, NothingToExport, ViewsExport
from service.lock import InUse, directory_lock, rebuild_lock
from service.retries import import_with_retries
from service.settings import Settings
from service.transfers import ImportFailed, LineResult, import_into, import_over_http
from service.transparency.signing import CannotSign
from service.transparency.static_export import CannotExport, TileLog
from service.views import rebuild as rebuilding

SHOWN_PROBLEMS = 10
TAKE_OVER_SECONDS = 60.0


@click.command("import")
@click.argument("file", type=click.File("rb"))
@settings_options("data")
@click.option("--url", help="Address of a server, such as http://127.0.0.1:8080, instead of --data.")
@click.option("--key", envvar="REGISTRY_KEY", help="With --url: a key with the scope post. [env REGISTRY_KEY]")
@click.option("--results", type=click.File("wb"), help="File for the result of each line, as NDJSON.")
@click.option("--actor", default="import", help="Without --url: the actor of the recorded events. [default import]")
@click.option("--retry", is_flag=True, help="Send refused lines again, as later lines may hold the facts they need.")
def import_(
    file: BinaryIO,
    data: str | None,
    url: str | None,
    key: str | None,
    results: BinaryIO | None,
    actor: str,
    retry: bool,
) -> None:
    """Record the events in FILE (NDJSON; - is standard input).

    Every line is accepted or refused on its own. The same import may be repeated. FILE may be an exported log.

    With --retry, refused lines that may need later lines are sent again until none of them is accepted. The results
    are written at the end.
    """
    if url is not None and data is not None:
        raise click.UsageError("--url and --data cannot be used together")
    settings = settings_of(data=data)

    def send(lines: BinaryIO) -> AsyncGenerator[LineResult]:
        return import_into(settings, lines, actor) if url is None else import_over_http(url, key, lines)

    tally = Tally(results)
    try:
        with ExitStack() as held:
            lines = _seekable(file, held) if retry else file
            with progress("Recording", _lines_in(lines)) as advance:
                if retry:
                    asyncio.run(tally.count(import_with_retries(send, lines, advance), lambda _: None))
                else:
                    asyncio.run(tally.count(send(lines), advance))
    except ImportFailed as error:
        raise Failed(f"{error} ({tally.summary}; the import may be repeated)") from None
    finally:
        for problem in tally.problems:
            click.echo(problem, err=True)
    click.echo(tally.summary, err=True)
    if tally.refused:
        sys.exit(1)


class Tally:
    """Counts the results of an import, writes them to a file, and collects the first problems to show."""

    def __init__(self, results: BinaryIO | None) -> None:
        self._results = results
        self.recorded = self.known = self.refused = 0
        self.problems: list[str] = []

    async def count(self, results: AsyncIterable[LineResult], advance: Callable[[int], None]) -> None:
        """Count every result."""
        async for result in results:
            if self._results is not None:
                self._results.write(result.body + b"\n")
            if result.is_new:
                self.recorded += 1
            elif result.is_accepted:
                self.known += 1
            else:
                self.refused += 1
                if self.refused <= SHOWN_PROBLEMS:
                    self.problems.append(_shown(orjson.loads(result.body)))
            advance(1)

    @property
    def summary(self) -> str:
        """The counts of the lines so far."""
        count = self.recorded + self.known + self.refused
        return f"{count} lines: {self.recorded} recorded, {self.known} already recorded, {self.refused} refused"


def _shown(problem: Mapping[str, Any]) -> str:
    flaws = "; ".join(f"{flaw['pointer'] or 'the event'}: {flaw['detail']}" for flaw in problem.get("errors", ()))
    text = f"line {problem.get('line', '?')}: {problem.get('detail') or problem['title']}"
    return f"{text} ({flaws})" if flaws else text


def _seekable(file: BinaryIO, held: ExitStack) -> BinaryIO:
    """Return the file, or a copy of it on disk if it can be read only once."""
    if file.seekable():
        return file
    copy = held.enter_context(TemporaryFile())  # noqa: SIM115 - `held` closes it
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def _lines_in(file: BinaryIO) -> int | None:
    """Return the number of lines of a file; None if it can be read only once."""
    if not file.seekable():
        return None
    count = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))
    file.seek(0)
    return count


@click.command()
@click.argument("what", required=False)
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@settings_options("data")
@click.option("--output", "-o", "path", type=click.Path(path_type=Path, dir_okay=False), help="File to write to.")
@click.option("--as-of", help="For views: as known at this position or RFC 3339 instant. [default: now]")
@click.option("--on", help="For views: the day, YYYY-MM-DD, or any. [default: today; for the timeline: any]")
@click.option("--tiles", type=click.Path(path_type=Path, file_okay=False), help="Directory for the static log.")
@click.option("--texts", is_flag=True, help="With --tiles: export texts of documents too. They may be under copyright.")
def export(
    what: str | None,
    directory: Path | None,
    data: str | None,
    path: Path | None,
    as_of: str | None,
    on: str | None,
    tiles: Path | None,
    texts: bool,
) -> None:
    """Export WHAT: `log` as NDJSON, a view (parties, agreements, ...) as CSV, or all `views` into DIRECTORY.

    With --tiles, and without WHAT, the signed part of the log is exported as a static log (C2SP tlog-tiles). Any file
    server can serve it, and `registry audit` checks it offline. A repeated export adds the new events.
    """
    if tiles is not None:
        if any(given is not None for given in (what, directory, path, as_of, on)):
            raise click.UsageError("--tiles can be used with --data and --texts only")
        _export_tiles(settings_of(data=data), tiles, texts)
        return
    if texts:
        raise click.UsageError("--texts can be used with --tiles only")
    if what not in ("log", "views", *NAMES):
        fault = "WHAT is missing" if what is None else f"{what!r} is not known"
        raise click.UsageError(f"{fault}; give log, views, one of {', '.join(NAMES)}, or --tiles DIRECTORY")
    if (what == "views") != (directory is not None):
        raise click.UsageError("DIRECTORY is for views, and only for them: registry export views DIRECTORY")
    root = settings_of(data=data).data
    try:
        if what == "log":
            with closing(LogExport(root)) as log, progress("Exporting", log.head) as advance, output(path) as write:
                for count, lines in log.lines():
                    write(lines)
                    advance(count)
            return
        with closing(ViewsExport(root, as_of, on)) as views:
            if directory is None:
                _write(views, what, path)
                return
            directory.mkdir(parents=True, exist_ok=True)
            with progress("Exporting", len(NAMES)) as advance:
                for name in NAMES:
                    _write(views, name, directory / f"{name}.csv")
                    advance(1)
    except BadQuestion as error:
        raise click.UsageError(f"--{str(error).replace('_', '-')}") from None
    except (NothingToExport, LogError) as error:
        raise Failed(str(error)) from None


def _export_tiles(settings: Settings, directory: Path, texts: bool) -> None:
    try:
        with closing(TileLog(settings, directory)) as log, progress("Exporting", log.size) as advance:
            log.write(advance, texts=texts)
    except OSError as error:
        raise Failed(f"{error.filename or directory}: {error.strerror}") from None
    except (NothingToExport, CannotExport, CannotSign, LogError) as error:
        raise Failed(str(error)) from None
    click.echo(f"{directory} holds the {log.size} signed events", err=True)


def _write(views: ViewsExport, name: str, path: Path | None) -> None:
    with output(path) as write:
        for lines in views.rows(name):
            write(lines)


@click.command()
@settings_options("data")
def rebuild(data: str | None) -> None:
    """Rebuild the views from the log. A server serves the old views until the new ones are ready."""
    root = settings_of(data=data).data
    if not (root / LOG).exists():
        raise Failed(f"there is no log in {root}: nothing to rebuild; --data names the directory")
    try:
        with ExitStack() as locks:
            locks.enter_context(rebuild_lock(root))
            try:
                locks.enter_context(directory_lock(root))
                is_served = False
            except InUse:
                is_served = True
            with progress("Rebuilding", rebuilding.head(root)) as advance:
                built = rebuilding.build(root, _advancing(advance))
            if is_served:
                _hand_over(root, built)
            else:
                rebuilding.install(built)
                click.echo("the views were rebuilt", err=True)
    except (InUse, LogError, rebuilding.RebuildDiscarded) as error:
        raise Failed(str(error)) from None


def _advancing(advance: Callable[[int], None]) -> Callable[[int], None]:
    """Return a progress report that takes positions, for a bar that counts steps."""
    reached = 0

    def report(position: int) -> None:
        nonlocal reached
        advance(position - reached)
        reached = position

    return report


def _hand_over(root: Path, built: Path) -> None:
    offered = rebuilding.offer(built)
    deadline = time.monotonic() + TAKE_OVER_SECONDS
    while (taken := rebuilding.was_taken(root, offered)) is None:
        if time.monotonic() > deadline:
            raise Failed("no server has taken over the rebuilt views yet; the server of this directory will")
        time.sleep(0.1)
    if not taken:
        raise Failed(
            "the server refused the rebuilt views. If data was erased meanwhile, it has rebuilt them itself. If it runs"
            " another version than this command, restart it"
        )
    click.echo("the server has taken over the rebuilt views", err=True)
