"""The commands as an operator types them: what is printed, and the exit code."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta

import click
import pytest

from backup import cli, oplock, process
from backup.commands import taking
from backup.deployment import BackupsOffError, ConfigurationError, Deployment
from backup.keeping import losses
from backup.pgbackrest import RepositoryStatus
from backup.showing import checks
from backup.showing.checks import Finding
from backup.state.history import Beginning, Ending, State
from backup.supervision import supervise
from contract.exits import Exit
from tests.unit.backup.fakes import NOON, FakePgbackrest, Reply, World, info_json, make_backup, make_config, make_info

FULL = make_backup("20260304-110000F")
NEW = make_backup("20260304-120000F")

Type = Callable[..., tuple[int, str, str]]


def refuse(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_args: object) -> Deployment:
        raise error

    monkeypatch.setattr(Deployment, "open", fail)


# --- backup -----------------------------------------------------------------------------------------------------------


def test_a_backup_says_what_was_made_and_how_long_it_took(command: Type, engine: FakePgbackrest) -> None:
    engine.script(Reply(does=engine.lists(NEW), seconds=12.34))
    code, out, _ = command("backup")
    assert code == Exit.OK
    assert out.splitlines()[-2:] == [
        "Done: full backup 20260304-120000F, 12 s.",
        "  database 30.0 MB, copied 30.0 MB, stored 4.0 MB (ratio 7.5), 2.4 MB/s",
    ]
    assert engine.ran[1][2:4] == ("--repo=1", "--type=full")


def test_type_and_repository_can_be_chosen(command: Type, world: World, engine: FakePgbackrest) -> None:
    world.reconfigure(make_config(repositories=2))
    engine.info = make_info(FULL, make_backup(FULL.label, repo=2))
    engine.script(Reply(63, stopped_by="stop"))
    command("backup", "--type=diff", "--repo=2")
    assert engine.ran[1][2:4] == ("--repo=2", "--type=diff")


@pytest.mark.parametrize(
    ("case", "reply", "message"),
    [
        (
            "failed",
            Reply(57),
            (
                "full backup: pgbackrest exit code 57 (db-query)\n"
                "HINT: read the database's log: `docker logs salespider-postgres`\n"
            ),
        ),
        ("stopped", Reply(63, stopped_by="stop"), "full backup: stopped on request\nHINT: run it again\n"),
    ],
)
def test_a_backup_that_is_not_proven_is_exit_code_15(
    command: Type, engine: FakePgbackrest, case: str, reply: Reply, message: str
) -> None:
    engine.script(reply)
    code, _, err = command("backup")
    assert (code, err) == (Exit.BACKUP_FAILED, message), case


def test_a_backup_that_cannot_begin_has_the_code_of_its_reason(command: Type, world: World, engine: FakePgbackrest) -> None:
    world.postgres.down = "the database system is starting up"
    code, _, err = command("backup")
    assert code == Exit.DATABASE
    assert err.startswith("database: the database system is starting up\nHINT: ")


def test_a_backup_while_a_restore_runs_is_exit_code_12_when_patience_ends(
    command: Type, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MANUAL_PATIENCE_SECONDS", 0.0)
    with oplock.hold(world.volumes.operation_lock, "restore", patience_seconds=0, stop=threading.Event(), on_wait=print):
        code, _, err = command("backup")
    assert code == Exit.BUSY
    assert err.startswith("operation lock: held by restore (since ")


# --- info, status, history --------------------------------------------------------------------------------------------


def test_info_shows_a_table_or_what_pgbackrest_says(command: Type, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    code, out, _ = command("info")
    assert code == Exit.OK
    assert FULL.label in out
    code, out, _ = command("info", "--output=json")
    assert (code, out.encode()) == (Exit.OK, info_json(engine.info))
    assert "--output=json" in engine.ran[-1]
    command("info", "--output=text")
    assert "--output=text" in engine.ran[-1]


def test_info_with_an_unusable_repository_is_exit_code_14_although_pgbackrest_says_0(
    command: Type, engine: FakePgbackrest
) -> None:
    engine.info = make_info(repositories=(RepositoryStatus(1, "none", 99, "[PathOpenError] Permission denied"),))
    code, out, _ = command("info")
    assert code == Exit.REPOSITORY
    assert "Repository 1: [PathOpenError] Permission denied" in out


def test_info_that_fails_is_exit_code_14_with_a_hint(command: Type, engine: FakePgbackrest) -> None:
    engine.info_answer = process.Captured(37, b"", "requires option: repo1-cipher-pass\n")
    code, _, err = command("info")
    assert code == Exit.REPOSITORY
    assert err.splitlines() == [
        "pgbackrest info: exit code 37 (option-required): requires option: repo1-cipher-pass",
        "HINT: the configuration is incomplete: run `make config-regenerate`",
    ]


def test_the_status_is_exit_code_0_or_20_and_can_be_json(command: Type, world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    world.deployment.history.beat("idle", NOON)
    losses.remember(world.deployment, engine.info)
    code, out, _ = command("status")
    assert code == Exit.OK, out
    world.postgres.down = "connection refused"
    code, out, _ = command("status", "--output=json")
    assert code == Exit.CHECK_FAILED
    assert json.loads(out)["causes"][0]["message"] == "the database cannot be reached: connection refused"


def test_the_history_lists_the_latest_runs(command: Type, world: World) -> None:
    history = world.deployment.history
    for number in range(3):
        run = history.begin(Beginning("backup", "diff", 1, "schedule", f"number {number}"), NOON)
        history.end(run, Ending("succeeded", 0, None, ""), NOON + timedelta(seconds=5))
    code, out, _ = command("history", "--limit=2")
    assert code == Exit.OK
    assert "number 2" in out
    assert "number 1" in out
    assert "number 0" not in out


# --- check ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, 2])
def test_a_check_is_exit_code_20_when_anything_was_found(command: Type, monkeypatch: pytest.MonkeyPatch, bad: int) -> None:
    findings = [Finding("versions", True, "equal"), *(Finding("archiving", False, "no", "look") for _ in range(bad))]
    monkeypatch.setattr(checks, "run_all", lambda _deployment: iter(findings))
    code, out, err = command("check")
    if bad:
        assert (code, err) == (
            Exit.CHECK_FAILED,
            "backup check: 2 of the checks failed\nHINT: see the hint below each\n",
        )
        assert out.count("HINT: look") == 2
    else:
        assert code == Exit.OK
        assert "Not proven by this: that a restore works" in out


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_waiting_for_a_backup_says_what_goes_on_and_ends_with_the_first_one(
    command: Type, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = world.deployment.history
    phases = iter(["creating the stanza", "creating the stanza", "taking the first full backup", ""])

    def wait(_timeout: float | None = None) -> bool:
        if phase := next(phases):
            history.beat(phase, NOON)
        else:
            run = history.begin(Beginning("backup", "full", 1, "first", ""), NOON)
            history.end(run, Ending("succeeded", 0, FULL.label, f"full backup {FULL.label}"), NOON)
        return False

    monkeypatch.setattr(world.stop, "wait", wait)
    code, out, _ = command("wait-for-backup")
    assert code == Exit.OK
    assert out.splitlines() == [
        "creating the stanza",
        "taking the first full backup",
        f"protected: full backup {FULL.label}",
    ]


@pytest.mark.parametrize("end", ["succeeded", "failed"])
def test_waiting_goes_on_until_every_repository_has_had_its_turn(
    end: State, command: Type, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.reconfigure(make_config(repositories=2))
    history, phases = world.deployment.history, iter(["taking the first full backup", "into the second", ""])

    def wait(_timeout: float | None = None) -> bool:
        phase = next(phases)
        history.beat(phase or "idle; next: tomorrow", NOON)
        repo = 1 if phase == "into the second" else 2
        state: State = "succeeded" if repo == 1 else end
        if phase != "taking the first full backup":
            run = history.begin(Beginning("backup", "full", repo, "first", ""), NOON)
            history.end(run, Ending(state, 0, FULL.label, f"full backup into {repo}"), NOON)
        return False

    monkeypatch.setattr(world.stop, "wait", wait)
    code, out, _ = command("wait-for-backup")
    assert code == Exit.OK
    assert out.splitlines()[:2] == ["taking the first full backup", "into the second"]
    assert out.splitlines()[-1] == (
        "protected: full backup into 2" if end == "succeeded" else "protected: full backup into 1"
    )


def test_waiting_too_long_is_exit_code_15(command: Type) -> None:
    code, _, err = command("wait-for-backup", "--timeout=-1")
    assert (code, err) == (Exit.BACKUP_FAILED, "no backup yet\nHINT: see `docker logs salespider-backup`\n")


# --- supervise --------------------------------------------------------------------------------------------------------


def test_the_supervisors_exit_code_is_the_commands(command: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "supervise", lambda _deployment: Exit.TERMINATED)
    assert command("supervise")[0] == 143


def test_with_backups_off_the_supervisor_says_so_and_ends_with_0(command: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, BackupsOffError("PGBACKREST_REPO1_TYPE is none"))
    code, out, err = command("supervise")
    assert code == Exit.OK
    assert "backups.off" in out
    assert "PGBACKREST_REPO1_TYPE is none" in out
    assert err == ""


@pytest.mark.parametrize("verb", ["backup", "info", "check", "status", "history", "wait-for-backup"])
def test_with_backups_off_every_other_command_is_exit_code_11(
    command: Type, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    refuse(monkeypatch, BackupsOffError("PGBACKREST_REPO1_TYPE is none"))
    code, out, err = command(verb)
    assert (code, out) == (Exit.BACKUPS_OFF, "")
    assert err.startswith("backups are off: PGBACKREST_REPO1_TYPE is none\nHINT: ")


@pytest.mark.parametrize("verb", ["supervise", "backup", "info", "check", "status", "history", "wait-for-backup"])
def test_without_a_configuration_every_command_is_exit_code_10(
    command: Type, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    refuse(monkeypatch, ConfigurationError("/etc/pgbackrest/supervisor.json: No such file or directory"))
    code, _, err = command(verb)
    assert code == Exit.CONFIGURATION
    assert err.startswith("/etc/pgbackrest/supervisor.json: No such file or directory\nHINT: run setup again")


# --- the command line itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("surprise",), ("backup", "--type=weekly"), ("info", "--output=xml"), ("restore", "x")])
def test_a_wrong_command_line_is_exit_code_2(command: Type, words: tuple[str, ...]) -> None:
    code, _, err = command(*words)
    assert code == Exit.USAGE
    assert "Error: " in err


def test_help_lists_every_verb(command: Type) -> None:
    code, out, _ = command("--help")
    assert code == Exit.OK
    for verb in cli.main.list_commands(click.Context(cli.main)):
        assert f"  {verb} " in out


def test_an_unforeseen_error_keeps_its_traceback(command: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own exit code for it is 1, which is what the table says."""
    refuse(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        command("info")


def test_being_interrupted_at_a_question_is_exit_code_143(command: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, KeyboardInterrupt())
    code, _, err = command("info")
    assert (code, err.strip()) == (Exit.TERMINATED, "stopped")
