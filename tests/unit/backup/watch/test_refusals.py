"""What the error files of asynchronous archiving say; the texts are those that pgBackRest 2.55.1 left."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.storage.place import Place
from backup.watch import spool
from backup.watch.refusals import Refusal, Refusals, parse, read
from tests.unit.backup.fakes import World, make_config

ONE_OF_TWO = """104
raised from local-1 protocol: archive-push command encountered error(s):
repo2: [FileOpenError] unable to load info file '/r2/archive/s/archive.info' or '/r2/archive/s/archive.info.copy':
FileOpenError: unable to open file '/r2/archive/s/archive.info' for read: [13] Permission denied
FileOpenError: unable to open file '/r2/archive/s/archive.info.copy' for read: [13] Permission denied
HINT: archive.info cannot be opened but is required to push/get WAL segments.
HINT: is archive_command configured correctly in postgresql.conf?
    [CommandError] on retry at 47ms: archive-push command encountered error(s):
repo2: [FileOpenError] unable to load info file '/r2/archive/s/archive.info' or '/r2/archive/s/archive.info.copy':
FileOpenError: unable to open file '/r2/archive/s/archive.info' for read: [13] Permission denied
"""
BOTH = """103
unable to find a valid repository:
repo1: [FileOpenError] unable to load info file '/r1/archive/s/archive.info' or '/r1/archive/s/archive.info.copy':
FileOpenError: unable to open file '/r1/archive/s/archive.info' for read: [13] Permission denied
repo2: [HostConnectError] unable to connect to '127.0.0.1:9': [111] Connection refused
"""
ANOTHER = "45\nWAL file '000000010000000000000003' already exists in the repo1 archive with a different checksum\n"

FULL = """104
raised from local-1 protocol: archive-push command encountered error(s):
repo2: [FileWriteError] unable to write '/r2/archive/s/17-1/0000000100000000/000000010000000000000005-3be0.pgbackrest.tmp': \
[28] No space left on device
"""
EMPTIED = """103
unable to find a valid repository:
repo2: [FileMissingError] unable to load info file '/r2/archive/s/archive.info' or '/r2/archive/s/archive.info.copy':
FileMissingError: unable to open missing file '/r2/archive/s/archive.info' for read
FileMissingError: unable to open missing file '/r2/archive/s/archive.info.copy' for read
HINT: archive.info cannot be opened but is required to push/get WAL segments.
"""
STRANGE = "104\nraised:\nrepo2: [AssertError] this was expected:\nnever to happen\nnor this\nHINT: report it\n"
WHY = "its directory does not let uid 999 in"
PLACES = {1: Place(1, "posix", "directory"), 2: Place(2, "s3", "bucket")}


def segment(number: int) -> str:
    return f"{1:08X}{0:08X}{number:08X}"


def test_one_of_two_that_fails_is_named_once_with_its_reason() -> None:
    (refusal,) = parse(ONE_OF_TWO, {})
    assert (refusal.repo, refusal.exit_code, refusal.message) == (2, 104, WHY)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FULL, "its disk is full"),
        (EMPTIED, "it holds no stanza: it has been emptied, or is another one"),
        (STRANGE, "[AssertError] this was expected: never to happen"),
    ],
)
def test_the_reason_is_in_words_where_they_are_known(text: str, words: str) -> None:
    (refusal,) = parse(text, PLACES)
    assert refusal.as_words() == f"repository 2 (bucket) takes no WAL: {words}"


def test_when_no_repository_can_be_used_all_are_named() -> None:
    first, second = parse(BOTH, {})
    assert (first.repo, first.exit_code) == (1, 103)
    assert (second.repo, second.exit_code, second.message) == (2, 103, "127.0.0.1:9 refuses the connection")
    assert second.hint.startswith("check whether the store is running")


def test_an_error_that_names_no_repository_is_told_with_the_meaning_of_its_code() -> None:
    (refusal,) = parse(ANOTHER, {})
    assert refusal.repo is None
    assert refusal.as_words().startswith("pgBackRest says: exit code 45 (archive-duplicate): WAL file '0000")


@pytest.mark.parametrize("text", ["", "104", "104\n", "half a file", "\n\n"])
def test_half_a_file_says_nothing(text: str) -> None:
    assert parse(text, {}) == ()


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    for refusal in parse(text, PLACES) + parse(f"104\n{text}", PLACES):
        assert len(refusal.message) <= 301
        assert "\n" not in refusal.as_words()


def test_the_others_have_what_only_one_did_not_take() -> None:
    found = read({f"{segment(3)}.error": ONE_OF_TWO, f"{segment(22)}.error": ONE_OF_TWO}, PLACES)
    assert found is not None
    assert (found.repos, found.others, found.through) == ((2,), (1,), segment(22))
    assert found.refusals[0].as_words() == f"repository 2 (bucket) takes no WAL: {WHY}"


def test_where_none_could_be_used_nobody_is_ahead() -> None:
    found = read({"global.error": BOTH}, PLACES)
    assert found is not None
    assert (found.repos, found.others, found.through) == ((1, 2), (), None)


def test_a_single_repository_has_no_others() -> None:
    found = read({"global.error": BOTH.split("repo2", maxsplit=1)[0]}, {1: PLACES[1]})
    assert found is not None
    assert found.others == ()


def test_what_the_others_have_taken_they_keep() -> None:
    before = Refusals((Refusal(2, 104, WHY),), (1,), segment(22))
    assert replace(before, through=segment(4)).after(before) == before
    assert replace(before, through=None).after(before) == before
    assert replace(before, through=segment(30)).after(before).through == segment(30)
    both = Refusals((Refusal(1, 103, WHY), Refusal(2, 103, WHY)))
    assert both.after(before) == both


def test_it_outlives_a_restart() -> None:
    found = Refusals((Refusal(2, 104, WHY, "do something", "bucket"),), (1,), segment(22))
    assert Refusals.from_json(asdict(found)) == found


# --- the spool --------------------------------------------------------------------------------------------------------


@pytest.fixture
def out(world: World) -> Path:
    directory = world.volumes.archive_spool / "archive" / world.deployment.config.stanza / "out"
    directory.mkdir(parents=True)
    world.reconfigure(make_config(repositories=2))
    return directory


def test_without_a_spool_nothing_is_known(world: World) -> None:
    assert spool.look(world.deployment) is None


def test_acknowledgements_are_no_errors(world: World, out: Path) -> None:
    (out / f"{segment(3)}.ok").write_text("0\nWAL file was there before")
    assert spool.look(world.deployment) is None


def test_of_many_the_last_one_tells_how_far_the_others_are(world: World, out: Path) -> None:
    for number in range(3, 300):
        (out / f"{segment(number)}.error").write_text(ONE_OF_TWO)
    found = spool.look(world.deployment)
    assert found is not None
    assert (found.repos, found.others, found.through) == ((2,), (1,), segment(299))
    assert found.refusals[0].location == "/var/lib/pgbackrest2"


def test_the_global_error_counts_more_than_what_is_left_of_before(world: World, out: Path) -> None:
    (out / "global.error").write_text(BOTH)
    found = spool.look(world.deployment)
    assert found is not None
    assert found.repos == (1, 2)
