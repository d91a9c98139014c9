"""Put the rendered files where the other containers read them: all of them or none, and only what changed.

A set of files is written whole into a directory of its own. `current` is a link to the set that counts, and every name at
the top (`pgbackrest.conf`, `conf.d`, `postgresql`, …) is a link through `current`; so the one rename that moves `current`
changes all of them in the same instant. Killed before it, the old set counts; after it, the new one. A file that did not
change is a hard link to the old one: same bytes, same times.

The set before the present one is kept until the next change, for whoever has just opened a file in it.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from contract import paths
from contract.errors import ProductError
from contract.exits import Exit
from setup import files
from setup.places import Owner

CURRENT = "current"
SETS = "sets"
_UNFINISHED = ".unfinished"
_NEXT_LINK = ".next"
_FILE_MODE = 0o640
_DIRECTORY_MODE = 0o750


@dataclass(frozen=True)
class Publication:
    """What a run changed: paths below the configuration directory, in alphabetic order."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


def publish(texts: Mapping[str, str], directory: Path, owner: Owner) -> Publication:
    """Make the directory show exactly these files, each with mode 0640, and return what had to change.

    `texts` are the contents by path below the directory, the manifest among them. What else lies in the directory is left
    alone. Runs at the same time wait for each other. Raises ProductError when the directory cannot be written; what was
    there stays valid then.
    """
    try:
        with _locked(directory):
            return _Directory(directory, owner).replace(texts)
    except OSError as error:
        raise ProductError(
            f"the configuration cannot be written to {directory}: {files.reason(error)}",
            hint="check that the volume pgbackrest-config is mounted writable and that its disk has free space",
            exit_code=Exit.CONFIGURATION,
        ) from error


def previously_published(directory: Path) -> set[str]:
    """Return the paths that the manifest in the directory names; none when there is no manifest or it is damaged."""
    try:
        manifest = json.loads((directory / paths.MANIFEST_JSON).read_text(encoding="utf-8"))
        named = {str(path) for path in manifest["files"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return set()
    return {path for path in named if not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts}


@dataclass(frozen=True)
class _Directory:
    root: Path
    owner: Owner

    def replace(self, texts: Mapping[str, str]) -> Publication:
        present = self._present_set()
        before = previously_published(self.root)
        changed = tuple(sorted(path for path in texts if present is None or not self._is_right(present / path, texts[path])))
        removed = tuple(sorted(path for path in before - set(texts) if (self.root / path).exists()))
        self._own_folder(self.root)
        if changed or removed or present is None:
            built = self._build(texts, present)
            self._link_what_is_missing(texts)
            self._point(CURRENT, f"{SETS}/{built.name}")
            self._forget_all_but({built, present})
        self._correct_links(texts, removed)
        return Publication(changed, removed)

    def _present_set(self) -> Path | None:
        link = self.root / CURRENT
        if not link.is_symlink():
            return None
        found = self.root / link.readlink()
        return found if found.is_dir() and found.parent == self.root / SETS else None

    def _build(self, texts: Mapping[str, str], present: Path | None) -> Path:
        sets, unfinished = self.root / SETS, self.root / SETS / _UNFINISHED
        self._own_folder(sets)
        if unfinished.exists():
            shutil.rmtree(unfinished)
        try:
            # conf.d is there even when it is empty: pgbackrest looks into it.
            for folder in sorted({unfinished, unfinished / "conf.d", *((unfinished / path).parent for path in texts)}):
                self._own_folder(folder)
            for path, text in texts.items():
                if present is not None and self._is_right(present / path, text):
                    os.link(present / path, unfinished / path)
                else:
                    self._write(unfinished / path, text)
            for folder in {(unfinished / path).parent for path in texts}:
                files.sync(folder)
        except OSError:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        finished = next(sets / str(n) for n in itertools.count(1) if not (sets / str(n)).exists())
        unfinished.rename(finished)
        files.sync(sets)
        return finished

    def _link_what_is_missing(self, texts: Mapping[str, str]) -> None:
        for name in _top_names(texts):
            if not os.path.lexists(self.root / name):
                self._point(name, f"{CURRENT}/{name}")

    def _correct_links(self, texts: Mapping[str, str], removed: tuple[str, ...]) -> None:
        for name in _top_names(texts):
            place, target = self.root / name, f"{CURRENT}/{name}"
            if place.is_symlink() and str(place.readlink()) == target:
                continue
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            self._point(name, target)
        for name in {PurePosixPath(path).parts[0] for path in removed} - _top_names(texts):
            (self.root / name).unlink(missing_ok=True)

    def _point(self, name: str, target: str) -> None:
        following = self.root / SETS / _NEXT_LINK
        following.unlink(missing_ok=True)
        following.symlink_to(target)
        following.replace(self.root / name)
        files.sync(self.root)

    def _forget_all_but(self, kept: set[Path | None]) -> None:
        for found in (self.root / SETS).iterdir():
            if found not in kept and found.name != _NEXT_LINK:
                shutil.rmtree(found)

    def _own_folder(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        found = folder.stat()
        if stat.S_IMODE(found.st_mode) != _DIRECTORY_MODE:
            folder.chmod(_DIRECTORY_MODE)
        if (found.st_uid, found.st_gid) != (self.owner.uid, self.owner.gid):
            os.chown(folder, self.owner.uid, self.owner.gid)

    def _is_right(self, file: Path, text: str) -> bool:
        try:
            found = file.lstat()
            return (
                stat.S_ISREG(found.st_mode)
                and stat.S_IMODE(found.st_mode) == _FILE_MODE
                and (found.st_uid, found.st_gid) == (self.owner.uid, self.owner.gid)
                and file.read_bytes() == text.encode()
            )
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _write(self, file: Path, text: str) -> None:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fchmod(descriptor, _FILE_MODE)  # before the owner changes: only the owner may
            os.fchown(descriptor, self.owner.uid, self.owner.gid)
            os.fsync(descriptor)


def _top_names(texts: Mapping[str, str]) -> set[str]:
    return {PurePosixPath(path).parts[0] for path in texts} | {"conf.d"}


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's own lock: it leaves no file behind and ends with the process."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
