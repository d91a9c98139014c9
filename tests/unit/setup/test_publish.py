"""Files appear whole or not at all, and what did not change is not touched."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contract import paths
from contract.errors import ProductError
from contract.exits import Exit
from setup.places import Owner
from setup.publish import Publication, publish


def with_manifest(**texts: str) -> dict[str, str]:
    files = {path.replace("__", "/"): text for path, text in texts.items()}
    digests = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()}
    return files | {paths.MANIFEST_JSON: json.dumps({"schema_version": 1, "files": digests})}


def tree(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


def traces(directory: Path) -> dict[str, tuple[int, int, int]]:
    found = {path: path.stat() for path in [directory, *directory.rglob("*")]}
    return {str(path): (at.st_ino, at.st_mtime_ns, at.st_ctime_ns) for path, at in found.items()}


FILES = with_manifest(a="1", conf_d__b="2")


def test_the_first_time_writes_everything(tmp_path: Path, me: Owner) -> None:
    assert publish(FILES, tmp_path, me) == Publication(("a", "conf_d/b", "manifest.json"), ())
    assert tree(tmp_path) == FILES


def test_modes(tmp_path: Path, me: Owner) -> None:
    publish(FILES, tmp_path, me)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in [tmp_path, *tmp_path.rglob("*")]}
    assert modes == {True: 0o750, False: 0o640}


def test_an_unchanged_set_is_not_touched(tmp_path: Path, me: Owner) -> None:
    publish(FILES, tmp_path, me)
    before = traces(tmp_path)
    assert publish(FILES, tmp_path, me) == Publication((), ())
    assert traces(tmp_path) == before


def test_only_what_changed_is_written(tmp_path: Path, me: Owner) -> None:
    publish(FILES, tmp_path, me)
    before = traces(tmp_path)
    assert publish(with_manifest(a="1", conf_d__b="3"), tmp_path, me).written == ("conf_d/b", "manifest.json")
    assert traces(tmp_path)[str(tmp_path / "a")] == before[str(tmp_path / "a")]


@pytest.mark.parametrize("damage", [lambda file: file.chmod(0o644), lambda file: file.write_text("edited")])
def test_what_somebody_changed_is_put_right(tmp_path: Path, me: Owner, damage: Callable[[Path], object]) -> None:
    publish(FILES, tmp_path, me)
    damage(tmp_path / "a")
    assert publish(FILES, tmp_path, me).written == ("a",)
    assert tree(tmp_path) == FILES


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path: Path, me: Owner) -> None:
    directory, elsewhere = tmp_path / "config", tmp_path / "elsewhere"
    directory.mkdir()
    elsewhere.write_text("1")
    (directory / "a").symlink_to(elsewhere)
    publish(with_manifest(a="2"), directory, me)
    assert (elsewhere.read_text(), (directory / "a").is_symlink()) == ("1", False)


def test_files_of_ours_that_are_no_longer_wanted_are_removed_and_others_left(tmp_path: Path, me: Owner) -> None:
    publish(FILES, tmp_path, me)
    (tmp_path / "conf_d" / "theirs").write_text("x")
    after = with_manifest(a="1")
    assert publish(after, tmp_path, me) == Publication(("manifest.json",), ("conf_d/b",))
    assert tree(tmp_path) == after | {"conf_d/theirs": "x"}


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
    assert tree(directory) == FILES


@pytest.mark.parametrize("failing_call", range(1, 4))
def test_a_full_disk_leaves_the_old_set_as_it_was(
    tmp_path: Path, me: Owner, monkeypatch: pytest.MonkeyPatch, failing_call: int
) -> None:
    publish(FILES, tmp_path, me)
    calls = 0

    def full(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing_call:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProductError) as caught:
        publish(with_manifest(a="new", conf_d__b="new"), tmp_path, me)
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert caught.value.message == f"the configuration cannot be written to {tmp_path}: no space left on device"
    assert caught.value.hint.startswith("check that the volume pgbackrest-config is mounted writable")
    assert tree(tmp_path) == FILES


def test_a_missing_directory_is_an_error_with_a_hint(tmp_path: Path, me: Owner) -> None:
    with pytest.raises(ProductError, match=r"cannot be written to .*absent: no such file or directory"):
        publish(FILES, tmp_path / "absent", me)


def test_what_a_killed_run_left_behind_is_cleared_away(tmp_path: Path, me: Owner) -> None:
    publish(FILES, tmp_path, me)
    (tmp_path / ".a.new").write_text("half of i")
    publish(FILES, tmp_path, me)
    (tmp_path / "conf_d" / ".b.new").write_text("half of i")
    publish(with_manifest(a="1", conf_d__b="3"), tmp_path, me)
    assert not [path for path in tree(tmp_path) if path.endswith(".new")]


def test_the_manifest_is_moved_last(tmp_path: Path, me: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    replace = Path.replace

    def record(source: Path, target: Path) -> Path:
        moved.append(target.name)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", record)
    publish(FILES, tmp_path, me)
    assert moved == ["a", "b", "manifest.json"]


def test_two_at_once_take_turns(tmp_path: Path, me: Owner) -> None:
    sets = [with_manifest(a=str(number) * 1000, conf_d__b=str(number)) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda files: publish(files, tmp_path, me), sets * 5))
    assert tree(tmp_path) in sets


def test_it_waits_for_whoever_holds_the_directory(tmp_path: Path, me: Owner) -> None:
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(publish, FILES, tmp_path, me)
        with pytest.raises(TimeoutError):
            run.result(timeout=0.05)
        assert tree(tmp_path) == {}
        os.close(holder)
        run.result(timeout=5)
    assert tree(tmp_path) == FILES
