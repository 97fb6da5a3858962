"""`python -m benchmarks`: measures, says on standard error what it is at, and prints the table on standard output."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic

import orjson

from benchmarks import asking, importing, posting, report
from benchmarks.bench import FULL, QUICK, Bench
from benchmarks.machine import cores

MEASURES: Mapping[str, Callable[[Bench], None]] = {
    "append": posting.measure,
    "ask": asking.measure,
    "import": importing.measure,
}


def main() -> None:
    """Runs what the command line asks for; told to stop, it ends every process it started."""
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

    chosen = cores()
    if chosen.is_shared:
        say("there is one core only: the load takes time from what it measures, and the figures are worth little")
    sizes = FULL if options.full else QUICK
    if options.rounds is not None:
        sizes = replace(sizes, rounds=options.rounds)
    with (
        tempfile.TemporaryDirectory(prefix="registry-bench-") as folder,
        closing(Bench(chosen, Path(folder), sizes, say)) as bench,
    ):
        for name in options.measures or MEASURES:
            MEASURES[name](bench)
        print(report.tables(bench.results))
        if options.json is not None:
            options.json.write_bytes(orjson.dumps(report.document(bench), option=orjson.OPT_INDENT_2))
    say("done")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast the registry is, in ratios.")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"which: {', '.join(MEASURES)}; default all")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes, under three minutes (the default)")
    size.add_argument("--full", action="store_true", help="more rounds, longer turns, larger stores; about an hour")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each contestant, instead of the size's own")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every turn there as well")
    options = parser.parse_args()
    if unknown := [name for name in options.measures if name not in MEASURES]:
        parser.error(f"there is no measure {unknown[0]!r}: choose from {', '.join(MEASURES)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds is at least 1")
    return options


if __name__ == "__main__":
    main()
