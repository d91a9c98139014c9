"""The swap as a state machine: killed at any moment it ends with one cluster in its place, the old one or the new one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup.restore.swap import journal
from backup.restore.swap.journal import Effect, Journal, Kept, Place, Seen, Step, Swap, UnreadableJournalError, Way

ID = "20260304-120000"


def make_swap(**given_values: object) -> Swap:
    values: dict[str, object] = {
        "id": ID,
        "verb": "latest",
        "request": "latest",
        "step": "building",
        "incoming": journal.restored_name(ID),
        "outgoing": journal.previous_name(ID),
        "had_data": True,
        "was_running": True,
        "began": 1.0,
    }
    return Swap(**{**values, **given_values})  # type: ignore[arg-type]  # a test's own values


class KilledError(Exception):
    """The process was killed."""


@dataclass
class Host:
    """A volume, a container and a journal; every effect is done as the real one is, or is cut off before or after."""

    swap: Swap | None
    names: dict[str, str]
    running: bool
    writes_accepted: bool = False
    kept: list[str] = field(default_factory=list)
    kill_in: int = -1
    opens: bool = True

    @property
    def seen(self) -> Seen:
        assert self.swap is not None
        return Seen(*(name in self.names for name in ("data", self.swap.incoming, self.swap.outgoing)))

    @property
    def is_held(self) -> bool:
        return self.swap is not None and self.swap.step in journal.HOLDING

    @property
    def serves(self) -> str | None:
        """The cluster that the container serves, if it does."""
        return self.names.get("data") if self.running and not self.is_held else None

    def tick(self) -> None:
        """One of the moments at which it may be killed."""
        if self.kill_in == 0:
            self.kill_in = -1
            raise KilledError
        self.kill_in -= 1

    def do(self, effect: Effect) -> None:
        assert self.swap is not None
        self.tick()
        renames = {
            "move out": ("data", self.swap.outgoing),
            "move in": (self.swap.incoming, "data"),
            "move back": ("data", self.swap.incoming),
            "put back": (self.swap.outgoing, "data"),
        }
        if effect.startswith("mark "):
            self.swap = replace(self.swap, step=effect.removeprefix("mark "))  # type: ignore[arg-type]
        elif effect in renames:
            self.rename(*renames[effect])
        elif effect in ("stop", "start", "start old"):
            self.running = {"stop": False, "start": True, "start old": self.running or self.swap.was_running}[effect]
        elif effect == "accept":
            self.accept()
        elif effect == "discard":
            self.names.pop(self.swap.incoming, None)
        elif effect == "close":
            self.swap = None
        self.tick()

    def accept(self) -> None:
        assert self.swap is not None
        if not self.opens:
            raise OSError
        self.writes_accepted = True
        self.tick()
        if self.swap.had_data:
            self.kept.append(self.swap.outgoing)
        self.swap = None

    def rename(self, name: str, to: str) -> None:
        assert not (self.running and not self.is_held), "no cluster is moved under a running server"
        assert to not in self.names
        self.names[to] = self.names.pop(name)

    def go(self, way: Way) -> None:
        assert self.swap is not None
        for effect in journal.remaining(self.swap, journal.place(self.swap, self.seen), way):
            self.do(effect)

    def forwards(self) -> None:
        try:
            self.go("finish")
        except OSError:
            self.go("revert")

    def resume(self, *, same_request: bool) -> None:
        if self.swap is None:
            return
        where = journal.place(self.swap, self.seen)
        way = journal.way(self.swap, where, same_request=same_request, promoted=self.writes_accepted)
        if way == "finish":
            self.forwards()
        else:
            self.go("revert")


def make_host(*, had_data: bool, was_running: bool, is_restore: bool, opens: bool) -> Host:
    incoming = journal.restored_name(ID) if is_restore else "previous-20260303-120000"
    swap = make_swap(had_data=had_data, was_running=was_running, incoming=incoming)
    names = {incoming: "new", **({"data": "old"} if had_data else {})}
    return Host(swap, names, was_running, opens=opens)


@settings(max_examples=600)
@given(
    had_data=st.booleans(),
    was_running=st.booleans(),
    is_restore=st.booleans(),
    opens=st.booleans(),
    kills=st.lists(st.tuples(st.integers(0, 24), st.booleans()), max_size=6),
)
def test_whenever_it_is_killed_one_whole_cluster_is_in_its_place_at_the_end(
    had_data: bool, was_running: bool, is_restore: bool, opens: bool, kills: list[tuple[int, bool]]
) -> None:
    host = make_host(had_data=had_data, was_running=was_running, is_restore=is_restore, opens=opens)
    same_request = True
    for number, (moment, same_request) in enumerate(kills):
        host.kill_in = moment
        try:
            host.forwards() if number == 0 else host.resume(same_request=same_request)
        except KilledError:
            assert not had_data or "old" in host.names.values(), "the old cluster is never deleted"
            assert host.serves in ("old", "new", None)
    host.kill_in = -1
    if kills:
        host.resume(same_request=same_request)
    else:
        host.forwards()
    assert host.swap is None
    in_place = host.names.get("data")
    if host.writes_accepted:
        assert in_place == "new"
        assert not had_data or host.names[journal.previous_name(ID)] == "old"
    else:
        assert in_place == ("old" if had_data else None)
    if opens and not kills:
        assert host.writes_accepted
    assert host.running == (was_running or host.writes_accepted)
    assert not (opens is False and host.writes_accepted)


def test_a_cluster_that_takes_writes_is_never_taken_away_again() -> None:
    swap = make_swap(step="starting")
    assert journal.way(swap, "after", same_request=False, promoted=True) == "finish"
    assert journal.way(swap, "after", same_request=False, promoted=False) == "revert"


STEPS: tuple[Step, ...] = ("building", "swapping", "starting", "reverting")
PLACES: tuple[Place, ...] = ("before", "between", "after")


@pytest.mark.parametrize("same_request", [True, False])
@pytest.mark.parametrize("step", ["building", "reverting"])
def test_what_was_not_swapped_yet_is_reverted(step: Step, same_request: bool) -> None:
    assert journal.way(make_swap(step=step), "before", same_request=same_request, promoted=False) == "revert"


@pytest.mark.parametrize("where", ["between", "after"])
def test_the_same_command_goes_on_and_another_one_reverts(where: Place) -> None:
    swap = make_swap(step="swapping")
    assert journal.way(swap, where, same_request=True, promoted=False) == "finish"
    assert journal.way(swap, where, same_request=False, promoted=False) == "revert"


@pytest.mark.parametrize(
    ("seen", "where"),
    [
        (Seen(True, True, False), "before"),
        (Seen(False, True, True), "between"),
        (Seen(True, False, True), "after"),
        (Seen(True, True, True), None),
        (Seen(False, False, True), None),
        (Seen(False, False, False), None),
    ],
)
def test_the_names_tell_how_far_it_has_come(seen: Seen, where: Place | None) -> None:
    assert journal.place(make_swap(step="swapping"), seen) == where


def test_names_that_contradict_the_journal_lead_to_no_effect() -> None:
    assert journal.remaining(make_swap(step="swapping"), None, "finish") == ()
    assert journal.remaining(make_swap(step="swapping"), None, "revert") == ()


def test_a_database_that_still_runs_is_not_stopped_to_revert() -> None:
    assert "stop" not in journal.remaining(make_swap(step="swapping"), "before", "revert")


@given(
    step=st.sampled_from(STEPS),
    repositories=st.lists(st.integers(1, 4), max_size=4),
    stopped=st.none() | st.floats(0, 2e9),
    kept=st.lists(st.sampled_from(["previous-20260301-000000", "previous-20260302-000000"]), unique=True),
)
def test_what_is_written_is_read_again(step: Step, repositories: list[int], stopped: float | None, kept: list[str]) -> None:
    swap = make_swap(step=step, repositories=tuple(repositories), stopped=stopped, label="20260301-020000F")
    written = Journal(swap, tuple(Kept(name, 1.0, "latest") for name in kept))
    assert journal.from_json(json.loads(json.dumps(journal.to_json(written)))) == written


@pytest.mark.parametrize("value", [None, [], {}, {"schema_version": 2, "swap": None, "kept": []}, {"schema_version": 1}])
def test_a_journal_of_another_version_is_not_guessed_at(value: object) -> None:
    with pytest.raises(UnreadableJournalError):
        journal.from_json(value)


def test_a_kept_cluster_is_named_once() -> None:
    first, again = Kept("previous-1", 1.0, "latest"), Kept("previous-1", 2.0, "undo")
    assert Journal().keeping(first).keeping(again) == Journal(None, (again,))
    assert Journal(None, (again,)).without("previous-1") == Journal()
