"""A configuration that setup would publish, put where pgbackrest looks for the published one: into memory."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from contract.candidate import Candidate
from contract.errors import ProductError
from contract.exits import Exit


def unpack(text: str, directory: Path) -> Candidate:
    """Write the files of a candidate below `directory`, readable by this user only. Raises ProductError."""
    try:
        candidate = Candidate.model_validate_json(text)
    except ValidationError:  # whose message would hold secrets
        hint = "this is what `setup --candidate` prints; `make deploy` hands it over"
        raise ProductError("the candidate is not understood", hint=hint, exit_code=Exit.CONFIGURATION) from None
    for path, content in candidate.files.items():
        _write(directory, path, content)
    (directory / "conf.d").mkdir(exist_ok=True)
    return candidate


def _write(directory: Path, path: str, content: str) -> None:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ProductError("the candidate names a file elsewhere", hint="report it", exit_code=Exit.CONFIGURATION)
    file = directory / path
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
    except OSError as error:
        hint = f"{directory} must be empty and writable: a container of its own, as `make deploy` starts it"
        raise ProductError(f"{file}: {error.strerror}", hint=hint, exit_code=Exit.CONFIGURATION) from error
