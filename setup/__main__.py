"""`python -m setup`: publish the configuration, or say everything that is wrong with it. The only place that exits.

Nothing is written before every problem is known; with `--check` nothing at all.
"""
# ruff: noqa: T201 - telling people is what this module is for

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from contract import paths
from contract.errors import InvalidConfigurationError, Problem, ProductError
from contract.exits import Exit
from contract.protection import unprotected
from setup import check, dotenv, environment, host_directory, locations, passphrase, protection, repositories
from setup.candidate import candidate
from setup.defect import told
from setup.needs import passphrase_needs
from setup.passphrase import Secrets
from setup.places import Mounts, Places
from setup.publish import publish
from setup.relocation import KnownPlaces, judge
from setup.render import render
from setup.report import introduction, report
from setup.repositories import Posix
from setup.settings import Settings, read_settings
from setup.variables import OWN_PREFIXES, Variables, known_variables, secret_variables


@dataclass(frozen=True)
class Request:
    """What is asked for: to publish, to check, to show or to hand over; the text of an .env file that is not read yet."""

    check: bool = False
    env_text: str | None = None
    show: bool = False
    candidate: bool = False


def configure(settings: Settings, places: Places) -> str:
    """Bring secrets, repository directories and published files in line with the settings; return what to tell.

    Raises ProductError, before anything is written if the settings or the directories are the reason.
    """
    new_directories = _new_directories(settings, places)
    known = locations.read(places.secrets)
    settings = _located(settings, places, known)
    secrets = _secrets(settings, places, may_create=True)
    files = render(settings, secrets)
    for repository in new_directories:
        host_directory.adopt(places.directory(repository.key), repository.location, places.database)
    locations.record(places.secrets, known.taking_back(settings.repositories))
    publication = publish(files, places.configuration, places.publisher)
    protection.publish_kit(places)
    locations.record(places.secrets, known.following(settings.repositories))
    return report(settings, publication, _unprotected(settings, secrets, places))


def examine(settings: Settings, places: Places) -> tuple[str, Exit]:
    """Return what the configuration is and what publishing it would change, and the exit code. Raises ProductError."""
    _new_directories(settings, places)
    settings = _located(settings, places, locations.read(places.secrets))
    secrets = _secrets(settings, places, may_create=False)
    found = check.difference(render(settings, secrets), places.configuration)
    options = {name: value for repository in settings.repositories for name, value in _options(repository, secrets)}
    effective = check.effective(environment.read(Variables).variables, options)
    return "\n".join(
        [*introduction(settings, _unprotected(settings, secrets, places)), "", *effective, "", *check.tell(found)]
    ), found.exit_code


def propose(settings: Settings, places: Places) -> str:
    """Return what would be published, as far as the stores need it, with the secrets in it. Raises ProductError."""
    settings = _located(settings, places, locations.read(places.secrets))
    files = render(settings, _secrets(settings, places, may_create=False))
    try:
        published = (places.configuration / paths.SUPERVISOR_JSON).read_text(encoding="utf-8")
    except (OSError, ValueError):
        published = None
    return candidate(files, [repository.type for repository in settings.repositories], published)


def main(places: Places, arguments: Sequence[str] = (), mounts: Mounts | None = None, now: datetime | None = None) -> int:
    """Run once and return the exit code; `now` is the present time, unless another one is given."""
    request = Request()
    try:
        request = _request(arguments)
        if request.show:
            print("\n".join(check.live(places.configuration)))
            return Exit.OK
        settings = _settings(request, mounts or Mounts(complete=request.env_text is None), now or datetime.now(UTC))
        if request.candidate:
            print(propose(settings, places), end="")
            return Exit.OK
        if not request.check:
            print(configure(settings, places))
            return Exit.OK
        text, code = examine(settings, places)
        print(text)
    except ProductError as error:
        print(error, file=sys.stderr)
        return Exit.USAGE if request.check and error.exit_code is Exit.CONFIGURATION else error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary: one line, and no text of a foreign error, it may hold a secret
        print(told(error), file=sys.stderr)
        return Exit.UNEXPECTED
    return code


def _request(arguments: Sequence[str]) -> Request:
    parser = argparse.ArgumentParser(prog="setup", description="Publish the configuration, or check it.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 0 same, 3 would change, 2 invalid")
    parser.add_argument(
        "--env-file", metavar="FILE", help="with --check: take the variables from this .env file; - is standard input"
    )
    parser.add_argument("--show", action="store_true", help="print what is published, without the secrets")
    parser.add_argument("--candidate", action="store_true", help="print what the stores need, with the secrets, into a pipe")
    parsed = parser.parse_args(arguments)
    if parsed.candidate and sys.stdout.isatty():
        parser.error("--candidate prints secrets, so it does not print them on a terminal")
    if parsed.env_file is None:
        return Request(check=parsed.check, show=parsed.show, candidate=parsed.candidate)
    if not parsed.check:
        parser.error("--env-file goes with --check")
    return Request(check=True, env_text=_text(parsed.env_file))


def _text(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ProductError(
            f"the file {name} cannot be read as text", hint="check its name and its rights", exit_code=Exit.USAGE
        ) from error


def _settings(request: Request, mounts: Mounts, now: datetime) -> Settings:
    problems: tuple[Problem, ...] = ()
    if request.env_text is not None:
        known = known_variables()
        parsed = dotenv.parse(request.env_text, {*known, *(f"{name}_FILE" for name in known)}, secret_variables())
        ours = {name: value for name, value in parsed.values.items() if _is_ours(name, known)}
        environment.add(ours)
        problems = parsed.problems
    return read_settings(os.cpu_count() or 1, mounts, problems, now)


def _is_ours(name: str, known: Sequence[str]) -> bool:
    return name.removesuffix("_FILE") in known or name in known or name.startswith(OWN_PREFIXES)


def _new_directories(settings: Settings, places: Places) -> list[Posix]:
    """Return the repositories whose directories must be adopted. Raises InvalidConfigurationError with every problem."""
    new: list[Posix] = []
    problems: list[Problem] = []
    for repository in settings.repositories:
        if isinstance(repository, Posix):
            try:
                if host_directory.check(places.directory(repository.key), repository, places.database):
                    new.append(repository)
            except InvalidConfigurationError as error:
                problems += error.problems
    if problems:
        raise InvalidConfigurationError(problems)
    return new


def _located(settings: Settings, places: Places, known: KnownPlaces) -> Settings:
    """Return the settings with what is worth a second thought about moved repositories.

    Raises InvalidConfigurationError when one has moved and its backups have not.
    """
    needs = passphrase_needs(settings, places)
    verdict = judge(settings.repositories, needs, known, protection.read_used(places.state), settings.given_up)
    if verdict.problems:
        raise InvalidConfigurationError(verdict.problems)
    return replace(settings, warnings=(*settings.warnings, *verdict.warnings))


def _secrets(settings: Settings, places: Places, *, may_create: bool) -> Secrets:
    used = protection.read_used(places.state)
    needs = passphrase_needs(settings, places)
    return passphrase.load(places.secrets, needs, settings.superuser_password, used, may_create=may_create)


def _unprotected(settings: Settings, secrets: Secrets, places: Places) -> str | None:
    present = {repository.key: secrets.fingerprint(repository.key) for repository in settings.repositories}
    return unprotected(present, protection.read_kit(places.secrets))


def _options(repository: repositories.Repository, secrets: Secrets) -> tuple[repositories.Option, ...]:
    found = secrets.passphrases.get(repository.key)
    return repositories.options(repository, found.get_secret_value() if found else None)


if __name__ == "__main__":
    sys.exit(main(Places(), sys.argv[1:]))
