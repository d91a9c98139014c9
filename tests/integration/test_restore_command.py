"""The wrapper around archive-get: a failure to read the archive must never look like its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from backup import pgbackrest
from backup.pgbackrest import RestoreTarget
from tests.integration.site import STANZA, WRAPPER, Site, program, wait_until

TWO_ATTEMPTS = {"RESTORE_COMMAND_ATTEMPTS": "2"}
PLAIN_ARCHIVE_GET = f"pgbackrest --stanza={STANZA} archive-get"

# --- its exit codes ---------------------------------------------------------------------------------------------------


def with_answers(tmp_path: Path, codes: str, environment: Mapping[str, str] = TWO_ATTEMPTS) -> tuple[int, int, str]:
    """Run the wrapper on a pgbackrest that ends with these codes; return its own code, the calls, and what it said."""
    calls = tmp_path / "calls"
    calls.touch()
    script = f"""
        pgbackrest() {{
            echo "$*" >>{calls}
            set -- {codes}
            local number; number="$(wc -l <{calls})"
            return "${{!number}}"
        }}
        export -f pgbackrest
        exec {WRAPPER} 000000010000000000000007 pg_wal/RECOVERYXLOG
    """
    done = program("bash", "-c", script, environment=environment)
    return done.returncode, len(calls.read_text().splitlines()), done.stderr


@pytest.mark.parametrize(
    ("case", "codes", "exit_code", "calls"),
    [
        ("fetched", "0", 0, 1),
        ("no such segment", "1", 1, 1),
        ("unreachable, twice", "49 49", 126, 2),
        ("unreadable, then fetched", "42 0", 0, 2),
        ("unreadable, then no such segment", "82 1", 1, 2),
        ("two different failures", "41 103", 126, 2),
        ("not executable", "126 126", 126, 2),
        ("not installed", "127 127", 126, 2),
        ("killed: the server is being stopped", "143", 143, 1),
    ],
)
def test_only_the_end_of_the_archive_is_told_as_that(
    tmp_path: Path, case: str, codes: str, exit_code: int, calls: int
) -> None:
    assert with_answers(tmp_path, codes)[:2] == (exit_code, calls), case


def test_it_says_what_it_tries_and_how_to_go_on(tmp_path: Path) -> None:
    assert with_answers(tmp_path, "49 49")[2].splitlines() == [
        (
            "restore-command: archive-get 000000010000000000000007 failed with exit code 49 (attempt 1 of 2), "
            "trying again in 1 s"
        ),
        (
            "restore-command: the archive cannot be read (archive-get 000000010000000000000007, exit code 49); "
            "recovery stops here and loses nothing"
        ),
        "HINT: make the repository reachable; recovery goes on when the server is started again",
    ]


def test_it_asks_synchronously_for_the_stanza_it_is_told(tmp_path: Path) -> None:
    with_answers(tmp_path, "0", {"RESTORE_COMMAND_STANZA": "other"})
    assert (tmp_path / "calls").read_text() == (
        f"--stanza=other --pg1-path={Path.cwd()} --no-archive-async --log-level-console=warn archive-get "
        "000000010000000000000007 pg_wal/RECOVERYXLOG\n"
    )


# --- with a real archive ----------------------------------------------------------------------------------------------


def fetch(site: Site, segment: str) -> int:
    """Ask the wrapper for a segment, as the server does: from within its data directory."""
    script = f"cd {site.pgdata} && exec {WRAPPER} {segment} pg_wal/RECOVERYXLOG"
    return program("bash", "-c", script, environment=TWO_ATTEMPTS).returncode


def test_a_real_archive_gives_a_segment_or_the_end_or_a_failure(site: Site) -> None:
    site.create_stanza()
    segment = site.switch_wal()
    assert fetch(site, segment) == 0
    assert fetch(site, "0000000100000000000000FE") == 1
    file = site.archived_segments()[segment]
    file.chmod(0)
    assert fetch(site, segment) == 126
    file.chmod(0o640)
    file.parent.chmod(0)
    assert fetch(site, segment) == 126
    file.parent.chmod(0o750)
    assert fetch(site, segment) == 0


# --- with a real recovery ---------------------------------------------------------------------------------------------


def prepare(site: Site, restore_command: str) -> list[Path]:
    """Back up, add rows, archive them, restore the files; return the archived segments that hold the rows, unreadable."""
    label = site.protect()
    before = set(site.archived_segments())
    site.sql("CREATE TABLE after_backup AS SELECT generate_series(1, 1000) AS n")
    site.switch_wal()
    later = [file for name, file in site.archived_segments().items() if name not in before]
    assert later
    site.stop()
    argv = pgbackrest.restore_in_place(STANZA, 1, label, RestoreTarget("default"), f'{restore_command} %f "%p"')
    finished, lines = site.pgbackrest(argv)
    assert finished.ok, lines
    for file in later:
        file.chmod(0)
    return later


def test_plain_archive_get_loses_data_silently_which_is_why_there_is_a_wrapper(site: Site) -> None:
    prepare(site, PLAIN_ARCHIVE_GET)
    site.start()
    wait_until(site.is_open)
    assert site.sql("SELECT to_regclass('after_backup')") == ""
    assert site.sql("SELECT timeline_id FROM pg_control_checkpoint()") in {"1", "2"}
    assert (site.pgdata / "pg_wal" / "00000002.history").exists()


def test_the_wrapper_stops_recovery_and_the_next_start_goes_on_without_a_loss(site: Site) -> None:
    unreadable = prepare(site, WRAPPER)
    site.start(TWO_ATTEMPTS, wait=False)
    wait_until(lambda: "the archive cannot be read" in site.log.read_text())
    wait_until(lambda: not site.is_running)
    assert not (site.pgdata / "pg_wal" / "00000002.history").exists()
    assert site.control("Database cluster state") == "in archive recovery"
    assert "FATAL" in site.log.read_text()
    for file in unreadable:
        file.chmod(0o640)
    site.start(TWO_ATTEMPTS)
    wait_until(site.is_open)
    assert site.sql("SELECT count(*) FROM after_backup") == "1000"
