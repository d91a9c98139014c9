"""Which repository does not take WAL, and why, from what pgBackRest leaves in the spool of the server. Pure.

With 2.55.1 (`src/command/archive/push/push.c` and `common.c`, and seen): an asynchronous push writes `<segment>.error` for
each segment that a repository did not take, and one `global.error` when it could not even begin, so no repository took
anything. The first line is the exit code. 104: some repository failed, and the others have the segment. 103: none can be
used. Both name each repository that failed as `repo2: [ErrorType] message`. With the next attempt these files go.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from backup import pgbackrest
from backup.storage.place import Place
from backup.storage.trouble import explain

SOME_FAILED: Final = 104
NONE_USABLE: Final = 103
GLOBAL: Final = "global.error"

_SEGMENT_ERROR: Final = re.compile(r"[0-9A-F]{24}\.error")
_OF_A_REPOSITORY: Final = re.compile(r"^repo(\d+): (.*)$")
_RETRY: Final = re.compile(r"^\s*\[\w+\] on retry at ")
_MOST_CHARACTERS: Final = 300
_CODES: Final = {"[HostConnectError]": 49, "[ServiceError]": 101}
"""The exit codes of what pgBackRest tells by its type only."""

_OF_A_DIRECTORY: Final = {
    "No space left on device": ("its disk is full", "make room there, or keep fewer backups: BACKUP_RETENTION_FULL in .env"),
    "Disk quota exceeded": ("its quota is used up", "make room there, or keep fewer backups: BACKUP_RETENTION_FULL in .env"),
    "Read-only file system": ("its file system is read-only", "see what the host says about that disk: `dmesg`"),
    "Permission denied": ("its directory does not let uid 999 in", "give the directory back to uid and gid 999"),
    "unable to open missing file": (
        "it holds no stanza: it has been emptied, or is another one",
        "bring its content back, or see what `make status` says of the lost repository",
    ),
}
"""What the operating system says about a directory, in words; the last one is true of an object store as well."""


@dataclass(frozen=True)
class Refusal:
    """A repository that takes no WAL (None: the message names none), with pgBackRest's exit code, why, and what to do."""

    repo: int | None
    exit_code: int
    message: str
    hint: str = ""
    location: str = ""

    def as_words(self) -> str:
        """Return it as "repository 2 (s3, bucket) takes no WAL: why"."""
        if self.repo is None:
            return f"pgBackRest says: {self.reason}"
        where = f" ({self.location})" if self.location else ""
        return f"repository {self.repo}{where} takes no WAL: {self.reason}"

    @property
    def reason(self) -> str:
        """Why, with the name of the exit code where that says more than that some repository failed."""
        if self.exit_code in (SOME_FAILED, NONE_USABLE):
            return self.message
        return f"exit code {self.exit_code} ({pgbackrest.meaning(self.exit_code).name}): {self.message}"


@dataclass(frozen=True)
class Refusals:
    """What one attempt came to. `others` are the repositories that are not named; they have all WAL until `through`.

    `through` is the name of a segment; None when nothing shows that the others have taken anything, or there are none.
    """

    refusals: tuple[Refusal, ...] = ()
    others: tuple[int, ...] = ()
    through: str | None = None

    @property
    def repos(self) -> tuple[int, ...]:
        """The numbers of the repositories that are named."""
        return tuple(refusal.repo for refusal in self.refusals if refusal.repo is not None)

    def after(self, before: Refusals | None) -> Refusals:
        """Return it with what is known from an earlier attempt: what the others have taken, they have."""
        if before is None or before.others != self.others:
            return self
        return replace(self, through=max(self.through or "", before.through or "") or None)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Refusals:
        """Return what `dataclasses.asdict` gave. Raises KeyError or TypeError for anything else."""
        refusals = tuple(Refusal(**entry) for entry in value["refusals"])
        return cls(refusals, tuple(value["others"]), value["through"])


def names_of_errors(names: Collection[str]) -> tuple[str, ...]:
    """Return those names of files in the spool that are errors, the global one first, then in the order of the WAL."""
    segments = sorted(name for name in names if _SEGMENT_ERROR.fullmatch(name))
    return (*([GLOBAL] if GLOBAL in names else []), *segments)


def read(texts: Mapping[str, str], places: Mapping[int, Place]) -> Refusals | None:
    """Return what error files say, by their names; None for nothing. Of many the first and the last ones are enough.

    `places` are the repositories that are configured, by their numbers.
    """
    found: dict[int | None, Refusal] = {}
    through = None
    for name in names_of_errors(tuple(texts)):
        refusals = parse(texts[name], places)
        for refusal in refusals:
            found.setdefault(refusal.repo, refusal)
        if name != GLOBAL and refusals and all(each.exit_code == SOME_FAILED for each in refusals):
            through = name.removesuffix(".error")
    if not found:
        return None
    named = {repo for repo in found if repo is not None}
    others = tuple(key for key in sorted(places) if key not in named) if named else ()
    ordered = tuple(sorted(found.values(), key=lambda refusal: refusal.repo or 0))
    return Refusals(ordered, others, through if others else None)


def parse(text: str, places: Mapping[int, Place]) -> tuple[Refusal, ...]:
    """Return what one error file says: a refusal for each repository it names, or one without; nothing for half a file."""
    first, _, rest = text.partition("\n")
    if not first.strip().isdecimal() or not rest.strip():
        return ()
    code = int(first)
    lines = rest.splitlines()
    retry = next((number for number, line in enumerate(lines) if _RETRY.match(line)), len(lines))
    found: dict[int, list[str]] = {}
    repo: int | None = None
    for line in lines[:retry]:
        if named := _OF_A_REPOSITORY.match(line):
            repo = int(named[1])
            found.setdefault(repo, []).append(named[2])
        elif repo is not None:
            found[repo].append(line)
    if found:
        return tuple(_refusal(places.get(key, Place(key)), code, said) for key, said in found.items())
    return (Refusal(None, code, _sentence(lines[:retry] or lines)),)


def _refusal(place: Place, code: int, said: Sequence[str]) -> Refusal:
    """Return the refusal of one repository, in words where what pgBackRest says is understood."""
    text = "\n".join(said)
    own = next((number for name, number in _CODES.items() if text.startswith(name)), 0)
    trouble = explain(text, own, place)
    if trouble is None:
        known = next((words for sign, words in _OF_A_DIRECTORY.items() if sign in text), (_sentence(said), ""))
        return Refusal(place.key, code, *known, place.location)
    return Refusal(place.key, code, trouble.sentence.removeprefix(place.told("")), trouble.hint, place.location)


def _sentence(lines: Sequence[str]) -> str:
    """Return the first line, and a second one where the first ends with a colon: what it announces is the reason."""
    said = [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("HINT:")]
    taken = " ".join(said[:2]) if said and said[0].endswith(":") else "".join(said[:1])
    return taken if len(taken) <= _MOST_CHARACTERS else f"{taken[:_MOST_CHARACTERS]}…"
