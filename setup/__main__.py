"""`python -m setup`: publish the configuration, or say everything that is wrong with it. The only place that exits.

Nothing is written before every problem is known.
"""
# ruff: noqa: T201 - telling people is what this module is for

from __future__ import annotations

import os
import sys

from contract.errors import ProductError
from contract.exits import Exit
from contract.protection import unprotected
from setup import host_directory, passphrase, protection, repositories
from setup.defect import told
from setup.needs import passphrase_needs
from setup.places import Places
from setup.publish import publish
from setup.render import render
from setup.report import report
from setup.settings import Settings, read_settings


def configure(settings: Settings, places: Places) -> str:
    """Bring secrets, repository directory and published files in line with the settings; return what to tell.

    Raises ProductError, before anything is written if the settings or the directories are the reason.
    """
    new_directories = [
        repository
        for repository in settings.repositories
        if isinstance(repository, repositories.Posix)
        and host_directory.check(places.repository, repository.location, places.database)
    ]
    needs = passphrase_needs(settings, places.repository)
    secrets = passphrase.load(places.secrets, needs, settings.superuser_password, protection.read_used(places.state))
    files = render(settings, secrets)
    for repository in new_directories:
        host_directory.adopt(places.repository, repository.location, places.database)
    publication = publish(files, places.configuration, places.publisher)
    protection.publish_kit(places)
    present = {repository.key: secrets.fingerprint(repository.key) for repository in needs}
    return report(settings, publication, unprotected(present, protection.read_kit(places.secrets)))


def main(places: Places) -> int:
    """Run once and return the exit code."""
    try:
        print(configure(read_settings(os.cpu_count() or 1), places))
    except ProductError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary: one line, and no text of a foreign error, it may hold a secret
        print(told(error), file=sys.stderr)
        return Exit.UNEXPECTED
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main(Places()))
