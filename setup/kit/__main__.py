"""`python -m setup.kit …`, one of its five commands, called by scripts/recovery-kit. The only place that exits.

Standard input carries the password or key, which must be in no argument list; for all but `make` the sealed file follows
it, as the last line. The sealed file, the environment file and the operator's own settings go to standard output, everything
for people to standard error.
"""
# ruff: noqa: T201 - telling people is what this module is for

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime

from pydantic import SecretStr

from contract.errors import ProductError
from contract.exits import Exit
from setup.defect import told
from setup.kit import commands
from setup.kit.contents import environment_file, extra_config_file
from setup.kit.seal import Credential
from setup.places import Mounts, Places
from setup.settings import Settings, read_settings


def main(arguments: list[str], standard_input: str, places: Places, mounts: Mounts | None = None) -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _run(options, standard_input, places, mounts)
    except ProductError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary: one line, and no text of a foreign error, it may hold a secret
        print(told(error), file=sys.stderr)
        return Exit.UNEXPECTED
    return Exit.OK


def _run(options: argparse.Namespace, standard_input: str, places: Places, mounts: Mounts | None) -> None:
    now = datetime.now(UTC)
    if options.command == "make":
        versions = {"product": options.product_version, "pgbackrest": options.pgbackrest_version}
        sealed, summary = commands.make(_settings(mounts), places, _credential(standard_input), versions, now)
        print(summary, file=sys.stderr)
        print(sealed)
        return
    credential, _, sealed = standard_input.rstrip().rpartition("\n")
    kit = commands.open_kit(sealed.strip(), _credential(credential))
    if options.command == "environment":
        print(environment_file(kit), end="")
    elif options.command == "extra-config":
        print(extra_config_file(kit), end="")
    elif options.command == "verify":
        print(commands.verify(kit, _settings(mounts), places, options.live_check, now), file=sys.stderr)
    else:
        print(commands.put_back(kit, _settings(mounts), places, now), file=sys.stderr)


def _settings(mounts: Mounts | None) -> Settings:
    return read_settings(os.cpu_count() or 1, mounts)


def _credential(text: str) -> Credential:
    return Credential(SecretStr(text.removesuffix("\n")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m setup.kit", description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="command", required=True)
    making = verbs.add_parser("make", help="seal what a restore on an empty host needs")
    making.add_argument("--product-version", default="unknown")
    making.add_argument("--pgbackrest-version", default="unknown")
    proving = verbs.add_parser("verify", help="prove that a kit opens the live repositories")
    proving.add_argument("--live-check", choices=["passed", "failed", "not-run"], default="not-run")
    verbs.add_parser("environment", help="print the environment file that is in a kit")
    verbs.add_parser("extra-config", help="print the name of the file of the operator's own settings, then its text")
    verbs.add_parser("put-back", help="put the secrets of a kit into the secrets volume")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin.read(), Places()))
