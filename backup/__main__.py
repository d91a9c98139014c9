"""The only place that turns an error into a message and an exit code."""

from __future__ import annotations

import sys

import click

from backup.cli import main
from contract.errors import ProductError
from contract.exits import Exit


def run() -> int:
    """Run the command line; return the exit code."""
    try:
        main.main(prog_name="salespider-backup", standalone_mode=False)
    except ProductError as error:
        print(error, file=sys.stderr)  # noqa: T201 the operator's message
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except click.Abort:
        print("stopped", file=sys.stderr)  # noqa: T201 the operator's message
        return Exit.TERMINATED
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run())
