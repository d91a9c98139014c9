"""Going through pgbackrest: what is seen, and that nothing of ours stays, however it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backup import process
from backup.process import Captured
from backup.storage.place import Place
from backup.storage.step import Step
from backup.storage.through import ANSWER_SECONDS, PREFIX, Passage

DENIED = (Path(__file__).parent / "said" / "s3-may-not-write.txt").read_text("utf-8").partition("\n")[2]
MISSING = Captured(55, b"", "ERROR: [055]: unable to open missing file")
PLACE = Place(2, "s3", "s3://bucket/path")


@dataclass
class FakeStore:
    """What `repo-…` commands do, in a dictionary; `broken` answers instead, by the verb."""

    files: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, Captured] = field(default_factory=dict)
    damages: Callable[[bytes], bytes] = lambda content: content
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def capture(self, argv: tuple[str, ...], timeout_seconds: float, given: bytes | None = None) -> Captured:
        assert timeout_seconds == ANSWER_SECONDS
        self.asked.append(argv)
        verb = next(word for word in argv[1:] if not word.startswith("-"))
        name = argv[-1]
        if verb == "repo-put":
            assert given is not None
            self.files[name] = given
        if verb in self.broken:
            return self.broken[verb]
        if verb == "repo-get":
            return Captured(0, self.damages(self.files[name]), "") if name in self.files else MISSING
        if verb == "repo-rm":
            self.files.pop(name, None)
        return Captured(0, b"", "")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    made = FakeStore()
    monkeypatch.setattr(process, "capture", made.capture)
    return made


def gone(*, measured: bool = False) -> dict[str, Step]:
    return {step.name: step for step in Passage("salespider", PLACE).go(measured=measured)}


def test_a_good_store(store: FakeStore) -> None:
    steps = gone()
    assert list(steps) == ["credentials", "list", "write", "read back", "delete"]
    assert {step.state for step in steps.values()} == {"ok"}
    assert store.files == {}
    assert {"--repo=2", "--stanza=salespider", "--log-level-file=off"} <= set(store.asked[0])
    assert store.asked[0][-1].startswith(PREFIX)


def test_measuring_sends_some_megabytes_both_ways(store: FakeStore) -> None:
    steps = gone(measured=True)
    assert list(steps) == ["credentials", "list", "write", "read back", "throughput", "delete"]
    assert steps["throughput"].seen.startswith("up ")
    assert steps["throughput"].seen.endswith(", with 12.6 MB")
    assert store.files == {}


def test_what_comes_back_changed_is_a_failure_and_is_removed(store: FakeStore) -> None:
    store.damages = lambda content: content[:-1] + b"\0\0"
    steps = gone(measured=True)
    assert steps["read back"].state == "failed"
    assert "not those that were written" in steps["read back"].seen
    assert "throughput" not in steps
    assert store.files == {}


def test_a_refused_write_is_told_and_what_arrived_nevertheless_is_removed(store: FakeStore) -> None:
    store.broken["repo-put"] = Captured(39, b"", DENIED)
    steps = gone()
    assert list(steps) == ["credentials", "list", "write"]
    assert steps["write"].seen == "the access key is not allowed to write there (AccessDenied)"
    assert not steps["write"].may_pass
    assert store.files == {}


@pytest.mark.parametrize(("verb", "name"), [("repo-get", "credentials"), ("repo-ls", "list")])
def test_what_cannot_be_asked_is_not_written_to(store: FakeStore, verb: str, name: str) -> None:
    store.broken[verb] = Captured(-9, b"", "")
    steps = gone()
    failed = steps[name]
    assert (list(steps)[-1], failed.state, failed.seen, failed.may_pass) == (
        name,
        "failed",
        "no end of it within 20 s",
        True,
    )
    assert not [argv for argv in store.asked if "repo-put" in argv or "repo-rm" in argv]


def test_what_cannot_be_deleted_is_a_failure(store: FakeStore) -> None:
    store.broken["repo-rm"] = Captured(39, b"", DENIED.replace("PUT /", "DELETE /"))
    assert gone()["delete"].seen == "the access key is not allowed to delete there (AccessDenied)"


def test_a_store_that_deletes_nothing_is_noticed(store: FakeStore) -> None:
    store.broken["repo-rm"] = Captured(0, b"", "")
    step = gone()["delete"]
    assert (step.state, step.seen) == ("failed", "what was deleted is still there")


def test_a_pgbackrest_without_repo_put_tests_no_writing(store: FakeStore) -> None:
    store.broken["repo-put"] = Captured(30, b"", "ERROR: [048]: invalid command 'repo-put'")
    steps = gone(measured=True)
    assert [step.state for step in steps.values()] == ["ok", "ok", "skipped", "skipped"]
    assert steps["write"].seen == "not tested: this pgbackrest has no repo-put"


def test_another_failure_has_the_engines_words(store: FakeStore) -> None:
    store.broken["repo-ls"] = Captured(53, b"", "ERROR: [053]: unable to list\x1b file\n")
    assert gone()["list"].seen == ("list failed with pgbackrest's exit code 53 (path-open): [053]: unable to list  file")
