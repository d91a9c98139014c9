"""What repositories are known to have lost, and since when others have not answered: kept until it is whole again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from backup.state.marks import Marks
from backup.state.store import Store

_LOSSES: Final = "repository.losses"
_SILENT: Final = "repository.silent"


@dataclass(frozen=True)
class Loss:
    """What a repository held when it was last seen whole: `count` good backups, from `earliest` to `latest`.

    `labels` are some of them, by which they are known again; `at` is when they were missed.
    """

    repo: int
    location: str
    count: int
    earliest: datetime
    latest: datetime
    labels: tuple[str, ...]
    at: datetime


@dataclass(frozen=True)
class Silence:
    """Since when a repository has not been read, and what pgbackrest says.

    `is_gone`: its store says that there is no such place.
    """

    since: datetime
    problem: str
    is_gone: bool = False


class Lost:
    """The records. Every method raises StoreError."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._marks = Marks(store)

    def losses(self) -> dict[int, Loss]:
        """Return what is lost, by the numbers of the repositories."""
        return {int(repo): _loss(int(repo), value) for repo, value in (self._marks.get(_LOSSES) or {}).items()}

    def put_loss(self, loss: Loss) -> None:
        """Write a loss down, in the place of an earlier one of the same repository."""
        self._put_losses({**self.losses(), loss.repo: loss})

    def forget_loss(self, repo: int) -> None:
        """Cross a loss out."""
        self._put_losses({key: loss for key, loss in self.losses().items() if key != repo})

    def silences(self) -> dict[int, Silence]:
        """Return since when repositories have not been read."""
        kept = self._marks.get(_SILENT) or {}
        return {int(repo): Silence(_moment(v["since"]), v["problem"], v["is_gone"]) for repo, v in kept.items()}

    def put_silences(self, silences: Mapping[int, Silence]) -> None:
        """Write down all of them."""
        kept = {str(repo): asdict(each) | {"since": each.since.timestamp()} for repo, each in silences.items()}
        if kept != (self._marks.get(_SILENT) or {}):
            self._marks.put(_SILENT, kept or None)

    def _put_losses(self, losses: Mapping[int, Loss]) -> None:
        self._marks.put(_LOSSES, {str(repo): _stored(loss) for repo, loss in losses.items()} or None)


def _stored(loss: Loss) -> dict[str, Any]:
    moments = {"earliest": loss.earliest, "latest": loss.latest, "at": loss.at}
    value = asdict(loss) | {name: moment.timestamp() for name, moment in moments.items()}
    return {name: entry for name, entry in value.items() if name != "repo"}


def _loss(repo: int, value: Mapping[str, Any]) -> Loss:
    moments = {name: _moment(value[name]) for name in ("earliest", "latest", "at")}
    return Loss(repo=repo, **{**value, **moments, "labels": tuple(value["labels"])})


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
