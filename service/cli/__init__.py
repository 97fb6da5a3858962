"""The command line. Each command reads its options, has the work done elsewhere, and says what came of it: results on
standard output, everything else on standard error. Exit codes: 0 done, 1 refused or failed, 2 asked wrongly; of those
that check something 0 fine, 1 not fine, 2 could not be checked."""

from __future__ import annotations

import sys

import click

from service.cli import audit, data, evidence, keys, serving
from service.cli.options import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, message="%(version)s")
def registry() -> None:
    """A registry of agreements: who agreed what, when, on what evidence."""


for _command in (
    serving.serve,
    serving.openapi,
    serving.version,
    data.import_,
    data.export,
    data.rebuild,
    audit.audit,
    evidence.evidence,
    keys.keys,
):
    registry.add_command(_command)


def main() -> None:
    """The command `registry`: whatever is wrong is said in one line."""
    try:
        sys.exit(registry.main(prog_name="registry", standalone_mode=False))
    except click.UsageError as error:
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        _fail(f"{' '.join(error.format_message().split())}{hint}", 2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except click.Abort:
        _fail("interrupted", 1)


def _fail(message: str, code: int) -> None:
    click.echo(f"registry: {message}", err=True)
    sys.exit(code)
