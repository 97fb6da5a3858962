"""Imports: an import over HTTP into an empty registry, and a rebuild of its views, against a plain load of the same
lines into one table."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path
from shutil import rmtree

from benchmarks.bench import Bench
from benchmarks.bulk import import_over_http, load_plainly, rebuild
from benchmarks.contestants import REGISTRY, registry
from benchmarks.events import write_lifespans, write_signed
from benchmarks.footprints import footprint, weigh
from benchmarks.results import Footprint, Sample
from benchmarks.sizes import PARTIES

SIGNED = "agreements signed"
LIFESPANS = "whole lifespans"
INGEST = "ingest {}"
IMPORT = f"{REGISTRY}, import over HTTP"
REBUILD = f"{REGISTRY}, rebuild"


def measure(bench: Bench) -> None:
    """Compare imports and rebuilds, of signed agreements and of whole lifespans."""
    sizes = bench.sizes
    signed, lifespans = bench.folder / "signed.ndjson", bench.folder / "lifespans.ndjson"
    write_signed(signed, sizes.signed, PARTIES)
    write_lifespans(lifespans, sizes.lifespans, PARTIES)
    _measure(bench, SIGNED, signed)
    _measure(bench, LIFESPANS, lifespans)


def _measure(bench: Bench, name: str, lines: Path) -> None:
    core = bench.cores.server
    numbers = count()
    folders: list[Path] = []  # the data directory of the last import

    def load() -> Sample:
        database = bench.folder / f"plain-{next(numbers)}.sqlite"
        try:
            return bench.worked(partial(load_plainly, lines, database))
        finally:
            database.unlink()

    def take_in() -> Sample:
        folder = bench.folder / f"import-{next(numbers)}"
        with registry(folder, core) as ours:
            sample = bench.bulk(ours.server, partial(import_over_http, ours.server.port, ours.headers, lines))
            weight = weigh(ours)
        footprints[:] = [footprint(f"import of {name}", folder, weight, raw=lines.stat().st_size / weight.events)]
        for old in folders:
            rmtree(old)
        folders[:] = [folder]
        return sample

    def fold() -> Sample:
        return bench.worked(partial(rebuild, folders[0]))

    footprints: list[Footprint] = []
    bench.compare(INGEST.format(name), None, load, {IMPORT: take_in, REBUILD: fold})
    bench.results.footprints += footprints
    rmtree(folders[0])
