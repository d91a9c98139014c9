"""All files or none, whenever it is killed; and what did not change is not touched."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from contract import paths
from contract.errors import ProductError
from contract.exits import Exit
from setup.places import Owner
from setup.publish import CURRENT, SETS, Publication, publish


def with_manifest(**texts: str) -> dict[str, str]:
    files = {path.replace("__", "/"): text for path, text in texts.items()}
    digests = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()}
    return files | {paths.MANIFEST_JSON: json.dumps({"schema_version": 1, "files": digests})}


def shown(directory: Path) -> dict[str, str]:
    """Return what a reader finds by the names at the top, links followed; not the sets behind them."""
    found = {}
    for entry in directory.iterdir():
        if entry.name in (SETS, CURRENT) or not entry.exists():
            continue
        for path in [entry, *entry.rglob("*")] if entry.is_dir() else [entry]:
            if path.is_file():
                found[str(path.relative_to(directory))] = path.read_text()
    return found


def traces(directory: Path) -> dict[str, tuple[int, int, int]]:
    found = {path: path.lstat() for path in [directory, *directory.rglob("*")]}
    return {str(path): (at.st_ino, at.st_mtime_ns, at.st_ctime_ns) for path, at in found.items()}


FILES = with_manifest(a="1", conf_d__b="2")
OTHERS = with_manifest(a="1", conf_d__b="3", keys__c="4")


def test_the_first_time_writes_everything(tmp_path: Path, me: Owner) -> None:
    assert publish(FILES, tmp_path, me) == Publication(("a", "conf_d/b", "manifest.json"), ())
    assert shown(tmp_path) == FILES


def test_modes(tmp_path: Path, me: Owner) -> None:
    publish(FILES, tmp_path, me)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in [tmp_path, *tmp_path.rglob("*")]}
    assert modes == {True: 0o750, False: 0o640}


def test_pgbackrest_finds_its_folder_even_when_it_is_empty(tmp_path: Path, me: Owner) -> None:
    publish(FILES, tmp_path, me)
    assert (tmp_path / "conf.d").is_dir()


def test_an_unchanged_set_is_not_touched(tmp_path: Path, me: Owner) -> None:
    publish(FILES, tmp_path, me)
    before = traces(tmp_path)
    assert publish(FILES, tmp_path, me) == Publication((), ())
    assert traces(tmp_path) == before


def test_a_file_that_did_not_change_keeps_its_times_in_a_set_that_did(tmp_path: Path, me: Owner) -> None:
    publish(FILES, tmp_path, me)
    before = (tmp_path / "a").stat()
    assert publish(with_manifest(a="1", conf_d__b="3"), tmp_path, me).written == ("conf_d/b", "manifest.json")
    after = (tmp_path / "a").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("damage", [lambda file: file.chmod(0o644), lambda file: file.write_text("edited")])
def test_what_somebody_changed_is_put_right(tmp_path: Path, me: Owner, damage: Callable[[Path], object]) -> None:
    publish(FILES, tmp_path, me)
    damage(tmp_path / "a")
    assert publish(FILES, tmp_path, me).written == ("a",)
    assert shown(tmp_path) == FILES


@pytest.mark.parametrize("in_the_place", ["file", "folder", "link"])
def test_what_lies_in_the_place_of_a_name_of_ours_gives_way_and_is_not_followed(
    tmp_path: Path, me: Owner, in_the_place: str
) -> None:
    directory, elsewhere = tmp_path / "config", tmp_path / "elsewhere"
    directory.mkdir()
    elsewhere.write_text("1")
    place = directory / "a"
    if in_the_place == "file":
        place.write_text("old")
    elif in_the_place == "folder":
        place.mkdir()
        (place / "x").write_text("old")
    else:
        place.symlink_to(elsewhere)
    publish(FILES, directory, me)
    assert shown(directory) == FILES
    assert elsewhere.read_text() == "1"


def test_files_that_are_no_longer_wanted_are_gone_and_others_left(tmp_path: Path, me: Owner) -> None:
    publish(OTHERS, tmp_path, me)
    (tmp_path / "theirs").write_text("x")
    after = with_manifest(a="1")
    assert publish(after, tmp_path, me) == Publication(("manifest.json",), ("conf_d/b", "keys/c"))
    assert shown(tmp_path) == after | {"theirs": "x"}
    assert not os.path.lexists(tmp_path / "keys")


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"files": 3}', '{"files": {"../precious": "", "/etc/precious": ""}}'])
def test_a_manifest_that_is_damaged_or_names_what_is_outside_removes_nothing(
    tmp_path: Path, me: Owner, manifest: str
) -> None:
    directory, precious = tmp_path / "config", tmp_path / "precious"
    directory.mkdir()
    precious.write_text("x")
    (directory / paths.MANIFEST_JSON).write_text(manifest)
    assert publish(FILES, directory, me).removed == ()
    assert precious.exists()
    assert shown(directory) == FILES


# --- interrupted ------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone: nothing after it runs."""


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process die at its n-th effect on the disk, before it is made."""
    steps = count(1)

    def deadly(effect: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if next(steps) == step:
                raise Killed
            return effect(*args, **options)

        return call

    for name in ("mkdir", "symlink_to", "replace", "rename", "unlink", "chmod"):
        monkeypatch.setattr(Path, name, deadly(getattr(Path, name)))
    for name in ("link", "fsync", "fchown", "fchmod", "chown"):
        monkeypatch.setattr(os, name, deadly(getattr(os, name)))
    monkeypatch.setattr(shutil, "rmtree", deadly(shutil.rmtree))


@pytest.mark.parametrize("old", [{}, FILES, OTHERS])
def test_killed_at_any_step_the_old_set_or_the_new_one_is_there_and_the_next_run_finishes(
    tmp_path: Path, me: Owner, old: dict[str, str]
) -> None:
    new = with_manifest(a="new", d="4")
    for step in count(1):
        directory = tmp_path / str(step)
        directory.mkdir()
        if old:
            publish(old, directory, me)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(step, patch)
            try:
                publish(new, directory, me)
            except Killed:
                pass
            else:
                break
        assert shown(directory) in (old, new), step
        publish(new, directory, me)
        assert shown(directory) == new, step
        assert len(list((directory / SETS).iterdir())) <= 2
    assert step > 20, "there are many steps to die at"


@pytest.mark.parametrize("failing_call", range(1, 5))
def test_a_full_disk_leaves_the_old_set_as_it_was(
    tmp_path: Path, me: Owner, monkeypatch: pytest.MonkeyPatch, failing_call: int
) -> None:
    publish(FILES, tmp_path, me)
    calls = count(1)

    def full(_: int) -> None:
        if next(calls) == failing_call:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProductError) as caught:
        publish(with_manifest(a="new", conf_d__b="new"), tmp_path, me)
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert caught.value.message == f"the configuration cannot be written to {tmp_path}: no space left on device"
    assert caught.value.hint.startswith("check that the volume pgbackrest-config is mounted writable")
    assert shown(tmp_path) == FILES


def test_a_missing_directory_is_an_error_with_a_hint(tmp_path: Path, me: Owner) -> None:
    with pytest.raises(ProductError, match=r"cannot be written to .*absent: no such file or directory"):
        publish(FILES, tmp_path / "absent", me)


# --- at the same time -------------------------------------------------------------------------------------------------


def test_two_at_once_take_turns(tmp_path: Path, me: Owner) -> None:
    sets = [with_manifest(a=str(number) * 1000, conf_d__b=str(number)) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda files: publish(files, tmp_path, me), sets * 5))
    assert shown(tmp_path) in sets


def test_a_reader_sees_one_set_or_the_other(tmp_path: Path, me: Owner) -> None:
    """Whoever holds the set open that has just been replaced can go on reading it."""
    publish(FILES, tmp_path, me)
    held = (tmp_path / CURRENT).resolve()
    publish(OTHERS, tmp_path, me)
    assert (held / "conf_d" / "b").read_text() == "2"
    assert (tmp_path / "conf_d" / "b").read_text() == "3"


def test_it_waits_for_whoever_holds_the_directory(tmp_path: Path, me: Owner) -> None:
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(publish, FILES, tmp_path, me)
        with pytest.raises(TimeoutError):
            run.result(timeout=0.05)
        assert shown(tmp_path) == {}
        os.close(holder)
        run.result(timeout=5)
    assert shown(tmp_path) == FILES
