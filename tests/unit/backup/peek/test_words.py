"""What a peek says, and the commands that it prints."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from backup.peek import words
from backup.peek.moment import Chosen, both, shown
from backup.peek.tables import Table
from backup.pgbackrest import RestoreTarget
from backup.restore.planning.plan import Plan, Wanted
from contract.supervisor import Database
from tests.consistency.source import ROOT
from tests.unit.backup.fakes import NOON, make_backup

BERLIN = ZoneInfo("Europe/Berlin")
FULL = make_backup("20260301-020000F")
LIVE = Database(user="postgres", name="salespider")


def chosen(wanted: Wanted, kind: str = "default", at: datetime | None = None) -> Chosen:
    return Chosen(Plan(wanted, FULL, RestoreTarget(kind, at), 1, (1,)), 7)


def test_a_moment_is_shown_in_utc_and_local_time() -> None:
    at = NOON - timedelta(hours=1)
    assert (
        shown(chosen(Wanted("pitr", at=at), "time", at), None, BERLIN) == "2026-03-04 11:00:00 UTC (2026-03-04 12:00:00 CET)"
    )
    assert both(at, ZoneInfo("UTC")) == "2026-03-04 11:00:00 UTC"


def test_the_end_of_a_backup_and_of_the_archive() -> None:
    of_backup = chosen(Wanted("backup", label=FULL.label), "immediate")
    assert shown(of_backup, None, ZoneInfo("UTC")) == "the end of backup 20260301-020000F, 2026-03-01 02:00:00 UTC"
    latest = chosen(Wanted("latest"))
    assert shown(latest, NOON, ZoneInfo("UTC")) == "the end of the archive, 2026-03-04 12:00:00 UTC"
    assert (of_backup.has_target, latest.has_target) == (True, False)


def test_the_plan_says_how_it_ends() -> None:
    lines = words.plan_lines(chosen(Wanted("latest")), NOON, ZoneInfo("UTC"), "1 GB", 0.5)
    assert lines[0] == "2026-03-04 12:00:00 UTC: peek"
    assert lines[1] == "  peek at  the end of the archive"
    assert lines[2] == "  from     full backup 20260301-020000F, ended 2026-03-01 02:00:00 UTC, repository 1"
    assert lines[-1] == "  ends     with `make peek-close`, or 0.5 hours after it has opened"


def test_the_last_line_is_the_one_that_the_script_waits_for() -> None:
    lines = words.ready_lines("now", chosen(Wanted("latest")), [], "then")
    script = (ROOT / "scripts" / "peek").read_text("utf-8")
    found = re.search(r'opened="([^"]*)"', script)
    assert found is not None
    assert lines[-1] == found[1]


@pytest.mark.parametrize(
    ("name", "line", "renamed"),
    [
        ("public.sale", "COPY public.sale (id, note) FROM stdin;", "COPY public.sale_peek (id, note) FROM stdin;"),
        ('public."Odd.Name"', 'COPY public."Odd.Name" (id) FROM stdin;', 'COPY public."Odd.Name_peek" (id) FROM stdin;'),
        ('public."a/b"', 'COPY public."a/b" (id) FROM stdin;', 'COPY public."a/b_peek" (id) FROM stdin;'),
        ('public."it\'s&co"', 'COPY public."it\'s&co" (id) FROM stdin;', 'COPY public."it\'s&co_peek" (id) FROM stdin;'),
        ("public.sale", "COPY publicXsale (id) FROM stdin;", "COPY publicXsale (id) FROM stdin;"),
        ("public.sale", "a row: COPY public.sale (id) FROM stdin;", "a row: COPY public.sale (id) FROM stdin;"),
    ],
)
def test_the_printed_sed_renames_the_table_and_nothing_else(name: str, line: str, renamed: str) -> None:
    table = Table("public", name.partition(".")[2].strip('"'), name, "r", 1, 1)
    (command,) = [found for found in words.loading(table, "a file.dump", "c", LIVE) if " | sed " in found]
    sed = command.split(" | ")[1]
    done = subprocess.run(("sh", "-c", sed), input=line, capture_output=True, text=True, check=True)
    assert done.stdout == renamed


def test_only_the_data_of_the_table_goes_into_one_that_is_there() -> None:
    """A sequence that it owns would be set back, and give out numbers that are taken."""
    lines = words.loading(Table("public", "sale", "public.sale", "r", 1, 1), "sale.dump", "salespider-postgres", LIVE)
    assert lines[1] == (
        "  docker exec -i salespider-postgres pg_restore -U postgres -d salespider --single-transaction --data-only "
        "--table=sale < sale.dump"
    )


def test_a_partitioned_table_is_loaded_by_its_parts() -> None:
    table = Table("public", "visit", "public.visit", "p", 1, None, ("visit_2024", "visit 2025"))
    assert "--data-only --table=visit_2024 --table='visit 2025' <" in words.loading(table, "f", "c", LIVE)[1]


def test_every_reason_has_words() -> None:
    said = {words.ended(reason) for reason in ("", "request", "hours", "space")}
    assert len(said) == 4


def test_times_are_in_utc() -> None:
    assert both(datetime(2026, 7, 1, 12, tzinfo=BERLIN), BERLIN).startswith("2026-07-01 10:00:00 UTC")
    assert NOON.tzinfo is UTC
