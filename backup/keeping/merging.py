"""What several repositories said, each asked alone, as one answer. Pure.

`info` for all of them at once waits for the slowest, and one that swallows what is sent silences the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from backup.pgbackrest import Info, RepositoryStatus


def merged(stanza: str, answers: Sequence[Info]) -> Info:
    """Return what several repositories said, each asked alone, as if they had been asked together."""
    return Info(
        stanza=stanza,
        repositories=tuple(repository for info in answers for repository in info.repositories),
        backups=tuple(sorted((b for info in answers for b in info.backups), key=lambda b: (b.stopped, b.label))),
        archive=tuple(archive for info in answers for archive in info.archive),
        system_ids=tuple(sorted({system_id for info in answers for system_id in info.system_ids})),
        bytes_done=next((info.bytes_done for info in answers if info.bytes_done is not None), None),
        bytes_total=next((info.bytes_total for info in answers if info.bytes_total is not None), None),
        clusters=tuple(cluster for info in answers for cluster in info.clusters),
    )


NOT_ANSWERED: Final = 99
"""pgBackRest's code for a repository that could not be asked, which is ours too."""


def unanswered(stanza: str, repo: int, why: str) -> Info:
    """Return what stands for a repository that said nothing."""
    return Info(stanza, (RepositoryStatus(repo, "unknown", NOT_ANSWERED, why),), (), (), ())
