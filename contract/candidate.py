"""A configuration that is not published yet: setup renders it, the backup image tries its stores, through a pipe.

It never lies on a disk: what was wrong in it would have to be removed from there, secrets included.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Candidate(BaseModel):
    """The files that pgbackrest needs, by path below the configuration directory; secrets are among them.

    `in_use` are the locations of the repositories that are published already: backups are in them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    schema_version: Literal[1] = 1
    files: dict[str, str] = Field(repr=False)
    in_use: tuple[str, ...] = ()
