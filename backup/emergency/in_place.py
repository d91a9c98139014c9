"""The lever where not even a file can be written: into the last block of `postgresql.auto.conf`, which is there already.

ALTER SYSTEM writes that file anew and needs space for it. To append within the block that the file's end lies in needs
none; and the server takes the last of two lines for one setting. RESET removes both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from backup.emergency.lever import Lever
from backup.postgres import DatabaseError
from contract.errors import ProductError
from contract.exits import Exit

FILE: Final = "postgresql.auto.conf"
_NO_SPACE: Final = "No space left on device"


def is_for_want_of_space(error: DatabaseError) -> bool:
    """Tell whether the server refused because its disk is full."""
    return _NO_SPACE in error.message


def write(pgdata: Path, lever: Lever) -> None:
    """Append the lever to the server's own settings. Raises ProductError when not even that can be written."""
    file = pgdata / FILE
    line = f"archive_command = '{lever.command()}'\n".encode()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
        try:
            end = os.fstat(descriptor).st_size
            if os.write(descriptor, line) != len(line):
                os.ftruncate(descriptor, end)  # half a line would keep the server from starting
                raise OSError(None, "only a part could be written")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"the lever cannot be written into {file}: {error.strerror}"
        hint = "free some kilobytes on that disk by removing something that is not the database's; then run it again"
        raise ProductError(message, hint=hint, exit_code=Exit.EMERGENCY) from error
