"""`python -m benchmarks`: runs measures, reports progress on standard error, and prints tables on standard output."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic

import orjson

from benchmarks import charts, report
from benchmarks.bench import Bench
from benchmarks.machine import allow_files, cores
from benchmarks.measures import LEAST, NAMES, take
from benchmarks.sizes import FULL, QUICK


def main() -> None:
    """Run the measures of the command line. A signal to stop ends every process that was started."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _run(options)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _run(options: argparse.Namespace) -> None:
    began = monotonic()

    def say(what: str) -> None:
        print(f"{monotonic() - began:6.1f} s  {what}", file=sys.stderr, flush=True)

    allow_files()
    bound = cores()
    if bound.is_shared:
        say("there is one core only: the load takes time from what it measures, and the figures are worth little")
    sizes = FULL if options.full else QUICK
    if options.size:
        sizes = replace(sizes, stores=tuple(sorted(set(options.size))))
    if options.rounds is not None:
        sizes = replace(sizes, rounds=options.rounds)
    with (
        tempfile.TemporaryDirectory(prefix="registry-bench-") as folder,
        closing(Bench(bound, Path(folder), sizes, say)) as bench,
    ):
        take(bench, options.measures or NAMES)
        print(report.tables(bench.results))
        if options.charts is not None:
            for path in charts.draw(bench.results, options.charts):
                say(f"drawn: {path}")
        if options.json is not None:
            options.json.write_bytes(orjson.dumps(report.document(bench), option=orjson.OPT_INDENT_2))
        failed = bench.failed
    say("done")
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast the registry is, in ratios.")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"which: {', '.join(NAMES)}; default all")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes, under three minutes (the default)")
    size.add_argument("--full", action="store_true", help="more rounds, longer turns, larger stores; about an hour")
    parser.add_argument(
        "--size",
        type=int,
        action="append",
        metavar="N",
        help="events of the registry for queries, instead of the usual sizes; may be repeated",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each contestant, instead of the size's own")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every turn there as well")
    parser.add_argument("--charts", type=Path, metavar="DIR", help="draw charts there (SVG)")
    options = parser.parse_args()
    if unknown := [name for name in options.measures if name not in NAMES]:
        parser.error(f"there is no measure {unknown[0]!r}: choose from {', '.join(NAMES)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds is at least 1")
    if options.size and min(options.size) < LEAST:
        parser.error(f"--size is at least {LEAST:,}")
    return options


if __name__ == "__main__":
    main()
