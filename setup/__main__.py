"""`python -m setup`: publish the configuration, or say everything that is wrong with it. The only place that exits.

Nothing is written before every problem is known.
"""
# ruff: noqa: T201 - telling people is what this module is for

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from contract.errors import ProductError
from contract.exits import Exit
from setup import host_directory, passphrase, repositories
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
    secrets = passphrase.load(
        places.secrets,
        encrypted=any(map(repositories.is_encrypted, settings.repositories)),
        superuser_password=settings.superuser_password,
    )
    files = render(settings, secrets)
    for repository in new_directories:
        host_directory.adopt(places.repository, repository.location, places.database)
    return report(settings, publish(files, places.configuration, places.publisher))


def main(places: Places) -> int:
    """Run once and return the exit code."""
    try:
        print(configure(read_settings(os.cpu_count() or 1), places))
    except ProductError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary: one line, and no text of a foreign error, it may hold a secret
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        print(f"unexpected {type(error).__name__} at {place}: a defect, please report this line", file=sys.stderr)
        return Exit.UNEXPECTED
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main(Places()))
