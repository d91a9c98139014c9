"""Put the rendered files where the other containers read them: whole or not at all, and only what changed.

All new files are written beside their places first; only when the disk has taken every one of them are they moved
there. The manifest comes last, so that it never names what is not there yet.
"""

from __future__ import annotations

import fcntl
import json
import os
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

_FILE_MODE = 0o640
_DIRECTORY_MODE = 0o750


@dataclass(frozen=True)
class Publication:
    """What a run changed: paths below the configuration directory, in alphabetic order."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


def publish(texts: Mapping[str, str], directory: Path, owner: Owner) -> Publication:
    """Make the directory hold exactly these files of ours, each with mode 0640, and return what had to change.

    `texts` are the contents by path below the directory, the manifest among them. Files that the manifest on disk names
    and the new one does not are removed; others are left alone. Runs at the same time wait for each other. Raises
    ProductError when the directory cannot be written; what was there stays valid then.
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
        stale = sorted(previously_published(self.root) - set(texts))
        for folder in sorted({self.root, *(self._place(path).parent for path in texts)}):
            self._prepare_folder(folder)
        changed = sorted(path for path in texts if not self._is_current(path, texts[path]))
        self._stage({path: texts[path] for path in changed})
        for path in changed:
            if path != paths.MANIFEST_JSON:
                self._staged(path).replace(self._place(path))
        removed = tuple(path for path in stale if self._remove(path))
        for folder in {self._place(path).parent for path in (*changed, *removed)}:
            files.sync(folder)
        if paths.MANIFEST_JSON in changed:
            self._staged(paths.MANIFEST_JSON).replace(self._place(paths.MANIFEST_JSON))
            files.sync(self.root)
        return Publication(tuple(changed), removed)

    def _place(self, path: str) -> Path:
        return self.root / path

    def _staged(self, path: str) -> Path:
        # Always the same name, so that a killed run leaves nothing that the next one does not take over; and not one
        # that ends in .conf, because pgBackRest reads those.
        place = self._place(path)
        return place.with_name(f".{place.name}.new")

    def _prepare_folder(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        found = folder.stat()
        if stat.S_IMODE(found.st_mode) != _DIRECTORY_MODE:
            folder.chmod(_DIRECTORY_MODE)
        if (found.st_uid, found.st_gid) != (self.owner.uid, self.owner.gid):
            os.chown(folder, self.owner.uid, self.owner.gid)

    def _is_current(self, path: str, text: str) -> bool:
        self._staged(path).unlink(missing_ok=True)
        try:
            found = self._place(path).lstat()
            return (
                stat.S_ISREG(found.st_mode)
                and stat.S_IMODE(found.st_mode) == _FILE_MODE
                and (found.st_uid, found.st_gid) == (self.owner.uid, self.owner.gid)
                and self._place(path).read_bytes() == text.encode()
            )
        except FileNotFoundError:
            return False

    def _stage(self, texts: Mapping[str, str]) -> None:
        try:
            for path, text in texts.items():
                self._write(self._staged(path), text)
        except OSError:
            for path in texts:
                self._staged(path).unlink(missing_ok=True)
            raise

    def _write(self, file: Path, text: str) -> None:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fchmod(descriptor, _FILE_MODE)  # before the owner changes: only the owner may
            os.fchown(descriptor, self.owner.uid, self.owner.gid)
            os.fsync(descriptor)

    def _remove(self, path: str) -> bool:
        try:
            self._place(path).unlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's own lock: it leaves no file behind and ends with the process."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
