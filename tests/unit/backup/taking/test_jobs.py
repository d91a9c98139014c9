"""The jobs: exit code 0 is no success, the record is complete, and other pgbackrests are waited for."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from backup import oplock, process
from backup.pgbackrest import RepositoryStatus
from backup.state.history import Beginning, Ending, Sizes
from backup.taking import attempts, jobs
from backup.taking.jobs import BackupRequest, Outcome, RepositoryError
from contract import events
from contract.exits import Exit
from contract.supervisor import BackupType
from tests.unit.backup.fakes import (
    NOON,
    FakePgbackrest,
    Reply,
    World,
    make_backup,
    make_config,
    make_info,
    make_world,
    runs_of,
)

OLD = make_backup("20260301-020000F")
NEW = make_backup("20260304-120000F")
FULL = BackupRequest("full", 1, "manual", "asked for by the operator")
DIFF = BackupRequest("diff", 1, "schedule", "scheduled")
LOCKED = (
    "P00  ERROR: [050]: unable to acquire lock on file '/lock/salespider-backup-1.lock': Resource temporarily unavailable",
)


def take(world: World, request: BackupRequest = FULL) -> Outcome:
    return jobs.take_backup(world.deployment, request, 0.0)


# --- success and the many ways to miss it -----------------------------------------------------------------------------


def test_a_backup_that_is_listed_afterwards_succeeds(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(OLD)
    engine.script(Reply(does=engine.lists(OLD, NEW), lines=("P00   INFO: new backup label = …",), seconds=12.0))
    assert take(world) == Outcome(
        "succeeded",
        0,
        f"full backup {NEW.label}",
        label=NEW.label,
        seconds=12.0,
        tail=("P00   INFO: new backup label = …",),
        sizes=Sizes(30_000_000, 30_000_000, 4_000_000),
        kind="full",
    )
    assert engine.verbs == ["info", "backup", "info", "repo-ls", "expire", "expire"]
    assert engine.ran[1][2:4] == ("--repo=1", "--type=full")


def test_old_backups_go_only_after_a_proven_one(world: World, engine: FakePgbackrest) -> None:
    for reply in (Reply(57), Reply(0), Reply(does=engine.lists(OLD, make_backup(NEW.label, has_errors=True)))):
        engine.script(reply)
        assert take(world).state == "failed"
    assert "expire" not in engine.verbs
    assert all("--no-expire-auto" in argv for argv in engine.ran if "backup" in argv)


def test_nothing_goes_after_a_backup_that_is_not_to_expire(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(does=engine.lists(OLD, NEW)))
    assert take(world, replace(FULL, expires=False)).state == "succeeded"
    assert "expire" not in engine.verbs


def test_exit_code_0_without_a_new_backup_in_the_list_is_a_failure(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(OLD)
    engine.script(Reply(lines=("P00   INFO: backup command end: completed successfully",)))
    outcome = take(world)
    assert (outcome.state, outcome.exit_code) == ("failed", Exit.BACKUP_FAILED)
    assert outcome.message == "full backup: pgbackrest ended well, but the repository lists no new backup"
    assert outcome.hint == "run `make backup-check`"


def test_a_repository_that_cannot_be_asked_before_is_a_failure_without_a_run(world: World, engine: FakePgbackrest) -> None:
    engine.info_answer = process.Captured(0, b"nothing", "")
    outcome = take(world)
    assert (outcome.state, outcome.exit_code) == ("failed", Exit.REPOSITORY)
    assert outcome.message == "pgbackrest info printed no JSON"
    assert engine.verbs == ["info"]


def test_a_failure_while_everything_is_stopped_is_an_interruption(world: World, engine: FakePgbackrest) -> None:
    """The database is stopped at the same moment, and may be the first to go."""
    engine.script(Reply(101, ("P00  ERROR: [101]: NULL result required",), does=world.stop.set))
    assert take(world).state == "interrupted"
    assert world.deployment.teller.alarms.raised() == ()


def test_a_store_that_refuses_what_it_granted_a_moment_ago_may_grant_it_again(world: World, engine: FakePgbackrest) -> None:
    (repository,) = world.deployment.config.repositories
    s3 = repository.model_copy(update={"type": "s3", "location": "s3://bucket/pgbackrest at store.example:443"})
    config = world.deployment.config.model_copy(update={"repositories": (s3,)})
    code = "<Error><Code>InvalidAccessKeyId</Code></Error>"
    engine.script(Reply(39, ("P00  ERROR: [039]: HTTP request failed with 403 (Forbidden):", code)))
    outcome = jobs.take_backup(replace(world.deployment, config=config), FULL, 0.0)
    assert outcome.message.endswith("the store does not know the access key (InvalidAccessKeyId)")
    assert (outcome.state, outcome.retryable) == ("failed", True)


@pytest.mark.parametrize(
    ("case", "reply", "state", "message", "hint"),
    [
        (
            "an error of pgbackrest, with its first line",
            Reply(57, ("P00  ERROR: [057]: unable to execute query", "P00   INFO: aborted")),
            "failed",
            "full backup: pgbackrest exit code 57 (db-query): [057]: unable to execute query",
            "read the database's log: `docker logs salespider-postgres`",
        ),
        (
            "an exit code nobody knows",
            Reply(77),
            "failed",
            "full backup: pgbackrest exit code 77 (unknown)",
            "read the lines above and the reference page on exit codes",
        ),
        (
            "killed by the kernel",
            Reply(-9),
            "failed",
            "full backup: pgbackrest exit code -9 (signal 9)",
            "it was killed; look for 'out of memory' in the host's log",
        ),
        ("asked to stop", Reply(63, stopped_by="stop"), "interrupted", "full backup: stopped on request", ""),
        (
            "asked to stop at its very end",
            Reply(0, stopped_by="stop"),
            "interrupted",
            "full backup: stopped on request",
            "",
        ),
        (
            "past its deadline",
            Reply(63, stopped_by="deadline", seconds=6 * 3600.0),
            "failed",
            "full backup: stopped after 6.0 hours, its deadline",
            "see the log for what it waited for",
        ),
    ],
)
def test_how_a_run_ends(
    world: World, engine: FakePgbackrest, case: str, reply: Reply, state: str, message: str, hint: str
) -> None:
    engine.script(reply)
    outcome = take(world)
    assert (outcome.state, outcome.message, outcome.hint, outcome.label) == (state, message, hint, None), case
    assert outcome.exit_code == reply.exit_code


# --- the type ---------------------------------------------------------------------------------------------------------


def test_a_diff_without_a_full_backup_is_taken_as_a_full_one_and_says_so(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(does=engine.lists(NEW)))
    with capture_logs() as logged:
        outcome = take(world, DIFF)
    why = "full instead of diff: the repository holds no full backup"
    assert (outcome.state, outcome.kind, outcome.message) == ("succeeded", "full", f"full backup {NEW.label} ({why})")
    assert "--type=full" in next(argv for argv in engine.ran if "backup" in argv)
    (changed,) = [entry for entry in logged if entry["event"] == events.BACKUP_TYPE_CHANGED]
    assert (changed["type"], changed["requested"], changed["reason"]) == ("full", "diff", why)
    run = world.deployment.history.last("backup")
    assert run is not None
    assert (run.what, run.requested, run.reason) == ("full", "diff", f"scheduled; {why}")


def test_after_seven_backups_on_a_full_one_the_next_is_full(world: World, engine: FakePgbackrest) -> None:
    on_it = tuple(make_backup(f"{OLD.label}_2026030{day}-020000D") for day in range(2, 9))
    engine.info = make_info(OLD, *on_it)
    engine.script(Reply(does=engine.lists(OLD, *on_it, make_backup("20260309-120000F"))))
    outcome = take(world, DIFF)
    assert outcome.message == "full backup 20260309-120000F (full instead of diff: 7 backups since the last full)"


def test_a_forced_full_backup_that_failed_is_taken_again_as_a_full_one(world: World, engine: FakePgbackrest) -> None:
    """Another type would delete what pgbackrest could resume, and a failed one has taken nothing from the window."""
    on_it = tuple(make_backup(f"{OLD.label}_2026030{day}-020000D") for day in range(2, 9))
    engine.info = make_info(OLD, *on_it)
    for _ in range(2):
        engine.script(Reply(57))
        assert take(world, DIFF).kind == "full"


def test_a_second_unscheduled_full_backup_within_a_day_is_not_taken(world: World, engine: FakePgbackrest) -> None:
    damaged = make_backup("20260304-110000F", has_errors=True)
    begun = world.deployment.history.begin(Beginning("backup", "full", 1, "schedule", "forced", "diff"), NOON)
    world.deployment.history.end(begun, Ending("succeeded", 0, damaged.label, ""), NOON)
    engine.info = make_info(OLD, damaged)
    diff = make_backup(f"{damaged.label}_20260304-120500D")
    engine.script(Reply(does=engine.lists(OLD, damaged, diff)))
    with capture_logs() as logged:
        outcome = take(world, DIFF)
    assert outcome.message.startswith(
        f"diff backup {diff.label} (no full backup although the last full one, {damaged.label}"
    )
    assert events.BACKUP_TYPE_CHANGED not in [entry["event"] for entry in logged]


# --- the record and the log -------------------------------------------------------------------------------------------


def test_a_run_is_recorded_with_its_reason_result_and_tail(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(does=engine.lists(NEW), lines=("line 1", "line 2")))
    take(world)
    run = world.deployment.history.last("backup")
    assert run is not None
    assert (run.what, run.repo, run.origin, run.reason) == ("full", 1, "manual", "asked for by the operator")
    assert (run.state, run.exit_code, run.label, run.tail) == ("succeeded", 0, NEW.label, "line 1\nline 2")
    assert (run.started, run.finished) == (NOON, NOON)


def test_a_run_that_was_killed_before_is_closed_when_the_next_one_has_the_lock(world: World, engine: FakePgbackrest) -> None:
    world.deployment.history.begin(Beginning("backup", "diff", 1, "schedule", "scheduled"), NOON - timedelta(hours=1))
    engine.script(Reply(does=engine.lists(NEW)))
    with capture_logs() as logged:
        take(world)
    assert logged[0] == {"event": events.RUNS_INTERRUPTED, "log_level": "warning", "count": 1}
    assert runs_of(world.deployment.history) == [("diff", "schedule", "interrupted"), ("full", "manual", "succeeded")]


def test_what_pgbackrest_prints_is_in_the_log_file_of_the_type(
    world: World, engine: FakePgbackrest, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.info = make_info(OLD)
    engine.script(Reply(does=engine.lists(make_backup("20260301-020000F_20260304-120000D")), lines=("one", "two")))
    take(world, BackupRequest("diff", 1, "manual", "why not"))
    assert (world.volumes.log / "backup-diff.log").read_text() == "one\ntwo\n"
    assert "one\ntwo\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("reply", "event", "level"),
    [
        (Reply(0), events.BACKUP_FAILED, "error"),
        (Reply(57), events.BACKUP_FAILED, "error"),
        (Reply(63, stopped_by="stop"), events.BACKUP_INTERRUPTED, "warning"),
    ],
)
def test_the_end_of_a_run_is_an_event(world: World, engine: FakePgbackrest, reply: Reply, event: str, level: str) -> None:
    engine.script(reply)
    with capture_logs() as logged:
        take(world)
    assert [entry["event"] for entry in logged] == [events.BACKUP_STARTED, event]
    assert logged[1]["log_level"] == level


def test_a_success_is_an_event_with_all_that_is_known(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(does=engine.lists(NEW), seconds=12.34))
    with capture_logs() as logged:
        take(world)
    assert logged[-1] == {
        "event": events.BACKUP_SUCCEEDED,
        "log_level": "info",
        "message": f"full backup {NEW.label}",
        "label": NEW.label,
        "type": "full",
        "requested": "full",
        "repo": 1,
        "seconds": 12.3,
        "attempts": 1,
        "database_bytes": 30_000_000,
        "copied_bytes": 30_000_000,
        "stored_bytes": 4_000_000,
    }


def test_failures_are_one_alarm_and_the_next_success_one_recovery(world: World, engine: FakePgbackrest) -> None:
    with capture_logs() as logged:
        for _ in range(3):
            engine.script(Reply(57))
            take(world)
        assert [raised.alarm.key for raised in world.deployment.teller.alarms.raised()] == ["backup:1"]
        for _ in range(2):
            engine.info = make_info(OLD)
            engine.script(Reply(does=engine.lists(OLD, NEW)))
            take(world)
    assert world.deployment.teller.alarms.raised() == ()
    told = [entry["event"] for entry in logged if entry["event"] != events.BACKUP_STARTED]
    failed, succeeded = events.BACKUP_FAILED, events.BACKUP_SUCCEEDED
    assert told == [failed, failed, failed, succeeded, events.BACKUP_RECOVERED, succeeded], "the log has every run"


def test_an_alarm_is_of_one_repository(world: World, engine: FakePgbackrest) -> None:
    world.reconfigure(make_config(repositories=2))
    both = make_info(OLD, make_backup(OLD.label, repo=2))
    engine.info = both
    engine.script(Reply(57))
    take(world)
    engine.script(Reply(does=engine.lists(*both.backups, make_backup(NEW.label, repo=2))))
    assert take(world, replace(FULL, repo=2)).state == "succeeded"
    assert [raised.alarm.key for raised in world.deployment.teller.alarms.raised()] == ["backup:1"]


def test_an_interrupted_run_is_no_alarm_and_may_be_tried_again(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(63, stopped_by="stop"))
    take(world)
    assert world.deployment.teller.alarms.raised() == ()
    run = world.deployment.history.last("backup")
    assert run is not None
    assert (run.state, run.retryable) == ("interrupted", True)


def test_the_record_has_attempts_sizes_and_whether_trying_again_can_help(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(49), Reply(does=engine.lists(NEW)))
    take(world)
    run = world.deployment.history.last("backup")
    assert run is not None
    assert (run.attempts, run.retryable, run.requested) == (2, False, "full")
    assert (run.database_bytes, run.copied_bytes, run.stored_bytes) == (30_000_000, 30_000_000, 4_000_000)
    engine.script(Reply(64))
    take(world)
    run = world.deployment.history.last("backup")
    assert run is not None
    assert (run.attempts, run.retryable, run.database_bytes) == (1, True, None)


# --- locks ------------------------------------------------------------------------------------------------------------


def test_while_another_operation_holds_the_lock_nothing_is_run_or_recorded(world: World, engine: FakePgbackrest) -> None:
    stop = threading.Event()
    with (
        capture_logs() as logged,
        oplock.hold(world.volumes.operation_lock, "restore (pitr)", patience_seconds=0, stop=stop, on_wait=print),
        pytest.raises(oplock.BusyError, match=r"held by restore \(pitr\)"),
    ):
        jobs.take_backup(world.deployment, FULL, 0.0)
    assert engine.ran == []
    assert world.deployment.history.recent() == ()
    assert logged == []


@pytest.mark.parametrize(("asked", "hint"), [(DIFF, "it is taken again after the restore"), (FULL, "")])
def test_a_backup_ends_for_a_restore_that_goes_ahead(
    world: World, engine: FakePgbackrest, asked: BackupRequest, hint: str
) -> None:
    """One that was begun by hand is nobody's to take again."""
    ahead = ExitStack()

    def restore() -> None:
        ahead.enter_context(oplock.ahead(world.volumes.operation_lock))

    engine.script(Reply(63, does=restore))
    with ahead, capture_logs() as logged:
        outcome = take(world, asked)
    assert (outcome.state, outcome.retryable) == ("interrupted", True)
    assert (outcome.message, outcome.hint) == (jobs.GAVE_WAY, hint)
    (run,) = world.deployment.history.recent("backup")
    assert (run.state, run.message) == ("interrupted", jobs.GAVE_WAY)
    assert [(entry["event"], entry["message"]) for entry in logged][-1] == (events.BACKUP_INTERRUPTED, jobs.GAVE_WAY)


def test_what_is_waited_for_between_two_attempts_ends_for_a_restore_too(world: World, engine: FakePgbackrest) -> None:
    """A repository that is gone is tried for minutes: the database that is down meanwhile is not kept waiting."""
    ahead = ExitStack()
    engine.script(Reply(49, does=lambda: ahead.enter_context(oplock.ahead(world.volumes.operation_lock))), Reply(49))
    with ahead:
        assert take(world).state == "interrupted"
    assert engine.verbs.count("backup") == 1


def test_a_busy_pgbackrest_is_tried_again_until_it_is_free(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(50, LOCKED), Reply(50, LOCKED), Reply(does=engine.lists(NEW)))
    assert take(world).state == "succeeded"
    assert engine.verbs.count("backup") == 3
    assert 2 <= sum(world.stop.waits) <= 6, "twice one to three seconds"


def test_when_patience_ends_the_last_answer_is_the_result(
    world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LOCK_PATIENCE_SECONDS", 0.0)
    engine.script(Reply(50, LOCKED))
    outcome = take(world)
    assert outcome.state == "failed"
    assert outcome.message.startswith(
        "full backup: pgbackrest exit code 50 (lock-acquire): [050]: unable to acquire lock on file"
    )


def test_being_asked_to_stop_ends_the_trying(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(50, LOCKED, does=world.stop.set))
    assert take(world).exit_code == 50
    assert engine.verbs.count("backup") == 1


# --- deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "kind", "expressions", "hours"),
    [
        ("until the next but one run", "full", {"full": "0 2 */2 * *"}, 14 + 48),
        ("never less than six hours", "diff", {"diff": "*/10 * * * *"}, 6),
        ("never more than seven days", "full", {"full": "0 2 1 * *"}, 7 * 24),
        ("not scheduled: seven days", "incr", {}, 7 * 24),
    ],
)
def test_the_deadline_of_a_backup_follows_from_the_schedule(
    tmp_path: Path, case: str, kind: BackupType, expressions: dict[str, str], hours: int
) -> None:
    schedule: dict[str, Any] = {"full": None, "diff": None, "incr": None, **expressions}
    world = make_world(tmp_path, make_config(**schedule))
    assert jobs.deadline_seconds(world.deployment, kind) == hours * 3600, case
    world.deployment.store.close()


def test_a_backup_runs_under_its_deadline_and_the_stop_flag(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(does=engine.lists(NEW)))
    take(world)
    (limits,) = engine.limits
    assert not limits.stop.is_set()
    world.stop.set()
    assert limits.stop.is_set()
    assert limits.deadline_seconds == jobs.deadline_seconds(world.deployment, "full")


# --- info and stanza --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        (
            process.Captured(32, b"", "P00  ERROR: [032]: 'none' is not allowed for 'repo1-type' option\nmore\n"),
            (
                "pgbackrest info: exit code 32 (option-invalid-value): "
                "P00  ERROR: [032]: 'none' is not allowed for 'repo1-type' option"
            ),
            "check for PGBACKREST_* variables in this container's environment",
        ),
        (
            process.Captured(37, b"P00  ERROR: [037]\n", ""),
            "pgbackrest info: exit code 37 (option-required): P00  ERROR: [037]",
            "the configuration is incomplete: run `make config-regenerate`",
        ),
        (
            process.Captured(-9, b"", ""),
            "pgbackrest info: exit code -9 (signal 9): no message",
            "it was killed; look for 'out of memory' in the host's log",
        ),
        (
            process.Captured(0, b"", ""),
            "pgbackrest info printed no JSON",
            "run `pgbackrest info` by hand in the backup container",
        ),
    ],
)
def test_an_info_that_fails_as_a_whole_says_why(
    world: World, engine: FakePgbackrest, answer: process.Captured, message: str, hint: str
) -> None:
    engine.info_answer = answer
    with pytest.raises(RepositoryError) as failed:
        jobs.read_info(world.deployment)
    assert (failed.value.message, failed.value.hint, failed.value.exit_code) == (message, hint, Exit.REPOSITORY)


def test_one_unreadable_repository_is_part_of_the_answer(world: World, engine: FakePgbackrest) -> None:
    unreadable = RepositoryStatus(1, "aes-256-cbc", 99, "[FormatError] key/value found outside of section")
    engine.info = make_info(repositories=(unreadable,))
    assert jobs.read_info(world.deployment).repositories == (unreadable,)


def test_a_backup_into_an_unreadable_repository_fails_before_it_begins(world: World, engine: FakePgbackrest) -> None:
    """Without a list from before, any backup would look like the new one."""
    engine.info = make_info(repositories=(RepositoryStatus(1, "aes-256-cbc", 99, "[HostConnectError] unable to connect"),))
    outcome = take(world, FULL)
    assert (outcome.state, outcome.message, outcome.hint) == (
        "failed",
        "repository 1: [HostConnectError] unable to connect",
        "run `make backup-check`",
    )
    assert [argv[-1] for argv in engine.ran] == ["info"]


def test_the_stanza_is_created_and_its_lines_handed_on(world: World, engine: FakePgbackrest) -> None:
    lines: list[str] = []
    engine.script(Reply(lines=("P00   INFO: stanza-create for stanza 'salespider' on repo1",)))
    assert jobs.create_stanza(world.deployment, lines.append).state == "succeeded"
    assert engine.verbs == ["info", "stanza-create"]
    assert lines == ["P00   INFO: stanza-create for stanza 'salespider' on repo1"]


def test_a_stanza_of_another_cluster_is_a_failure_and_nothing_is_upgraded(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(28, ("P00  ERROR: [028]: backup and archive info files exist but do not match the database",)))
    outcome = jobs.create_stanza(world.deployment, print)
    assert outcome.message == (
        "stanza-create: pgbackrest exit code 28 (file-invalid): "
        "[028]: backup and archive info files exist but do not match the database"
    )
    assert outcome.hint == "the stanza belongs to another database cluster; see the guide, 'another cluster'"
    assert engine.verbs == ["info", "stanza-create"]
