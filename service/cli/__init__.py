"""Command line: each command reads its options, calls the service, and prints the result.

Results go to standard output, everything else to standard error. Exit status: 0 success, 1 refusal or failure, 2 wrong
usage. Commands that check something: 0 pass, 1 fail, 2 inconclusive.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click
from click.exceptions import NoArgsIsHelpError

_MODULES = {
    "serve": "serving",
    "openapi": "serving",
    "version": "version",
    "import": "data",
    "export": "data",
    "rebuild": "data",
    "audit": "audit",
    "backup": "backup",
    "restore": "backup",
    "evidence": "evidence",
    "explain": "explain",
    "keys": "keys",
}
"""The module of each command. It is imported when the command is used, as each needs other parts of the registry."""


class _Commands(click.Group):
    """The commands, by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _MODULES:
            return None
        module = import_module(f"service.cli.{_MODULES[cmd_name]}")
        return next(each for each in vars(module).values() if isinstance(each, click.Command) and each.name == cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="agreement-registry", message="%(version)s")
def registry() -> None:
    """A registry of agreements: who agreed what, when, on what evidence."""


def main() -> None:
    """Run the command `registry`. Every failure is one line; a group without a command shows its help."""
    try:
        sys.exit(registry.main(prog_name="registry", standalone_mode=False))
    except NoArgsIsHelpError as error:
        click.echo(error.format_message())
    except click.UsageError as error:
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        _fail(f"{' '.join(error.format_message().split())}{hint}", 2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except click.Abort:
        _fail("interrupted", 1)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except Exception as error:
        import sqlite3  # here, as most commands do not need it

        if not isinstance(error, sqlite3.Error):
            raise
        _fail(f"the database failed: {error}", 1)


def _fail(message: str, code: int) -> None:
    click.echo(f"registry: {message}", err=True)
    sys.exit(code)
