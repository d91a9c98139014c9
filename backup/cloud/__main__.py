"""What `aws`, `az` and `gsutil` in the backup container run: `python -m backup.cloud PROGRAM REPOSITORY ARGUMENT…`.

REPOSITORY is a number, or empty for the first one of the program's kind (the variable BACKUP_REPO).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from backup import process
from backup.cloud import bucket, programs
from backup.cloud.choice import chosen
from backup.storage import published
from backup.storage.published import Options
from contract import paths
from contract.errors import ProductError
from contract.exits import Exit

TIMEOUT_SECONDS: Final = 300.0
_REAL: Final = Path("/usr/bin")


def main(program: str, wanted: str, arguments: tuple[str, ...]) -> None:
    """Run the program, with what the repository's options say. Raises ProductError; else ends as the program does."""
    every = published.read(paths.CONFIG)
    if program == "gsutil":
        _stand_in(chosen(every, "gcs", wanted), arguments)
        return
    real = _REAL / program
    if not real.exists():
        hint = f"set BACKUP_CLOUD_CLI={program} in .env, then make deploy; make storage-check tests the same way without it"
        raise ProductError(f"this image was built without the program {program}", hint=hint, exit_code=Exit.CONFIGURATION)
    told = programs.aws(chosen(every, "s3", wanted)) if program == "aws" else programs.azure(chosen(every, "azure", wanted))
    process.become((str(real), *told.options, *arguments), told.variables)


def _stand_in(repository: Options, arguments: tuple[str, ...]) -> None:
    question = bucket.parse(arguments, repository.get("gcs-bucket"))
    argv = bucket.command(question, repository)
    if question.verb == "cat":
        process.become(argv, {})
    answer = process.capture(argv, TIMEOUT_SECONDS)
    if answer.exit_code:
        said = answer.stderr.strip().splitlines()
        what = f"gs://{question.bucket} cannot be listed: {said[0] if said else f'exit code {answer.exit_code}'}"
        raise ProductError(what, hint="make storage-check names what is wrong", exit_code=Exit.REPOSITORY)
    sys.stdout.write(bucket.listing(question, answer.stdout))


def _run() -> Exit:
    try:
        main(sys.argv[1], sys.argv[2], tuple(sys.argv[3:]))
    except ProductError as error:
        sys.stderr.write(f"{sys.argv[1]}: {error}\n")
        return error.exit_code
    return Exit.OK


if __name__ == "__main__":
    sys.exit(_run())
