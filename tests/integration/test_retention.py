"""What real expires remove: by number, by age, and never the last good full backup."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pytest

from backup import pgbackrest
from backup.keeping import retention
from backup.keeping.expiry import Removal
from backup.keeping.retention import Forecast
from backup.taking import jobs
from tests.integration.site import STANZA, Site

PAGE = 8192
DAY = 86400
CHECKSUM = "backrest-checksum="


def take(site: Site, kind: str = "full") -> str:
    """Take a backup that lets nothing go, damaged or not; return its label."""
    with site.deployment() as deployment:
        before = jobs.read_info(deployment).labels(1)
        finished, lines = site.pgbackrest(pgbackrest.backup(STANZA, 1, kind))
        assert finished.ok, lines
        (new,) = jobs.read_info(deployment).labels(1) - before
    return new


def keeping(site: Site, **options: str) -> Site:
    """Publish a retention, and create the stanza. Bundles make a backup three times as fast."""
    site.publish(
        {"repo1-bundle": "y", **{f"repo1-retention-{name.replace('_', '-')}": value for name, value in options.items()}}
    )
    site.create_stanza()
    return site


@pytest.fixture
def fulls(site: Site) -> tuple[Site, list[str]]:
    """A site that keeps two full backups, and has three with a differential one on the first."""
    keeping(site)
    made = [take(site), take(site, "diff"), take(site), take(site)]
    return site, made


def forecast(site: Site) -> Forecast:
    with site.deployment() as deployment:
        info = jobs.read_info(deployment)
        return retention.forecast(deployment, deployment.config.repositories[0], info, None)


def expire(site: Site) -> retention.Expired:
    with site.deployment() as deployment:
        return retention.expire(deployment, 1, jobs.read_info(deployment), print)


def labels(site: Site) -> list[str]:
    with site.deployment() as deployment:
        return [backup.label for backup in jobs.read_info(deployment).backups]


def damage(site: Site) -> None:
    """Damage a page of a table, so that every further backup has page checksum errors."""
    site.sql("CREATE TABLE victim AS SELECT n, repeat('x', 100) FROM generate_series(1, 1000) AS n")
    file = site.pgdata / site.sql("SELECT pg_relation_filepath('victim')")
    site.stop()
    with file.open("r+b") as pages:
        pages.seek(3 * PAGE + 4000)
        pages.write(b"damage")
    site.start()


def test_what_is_shown_is_what_is_removed(fulls: tuple[Site, list[str]]) -> None:
    site, made = fulls
    shown = forecast(site)
    assert labels(site) == made, "showing removes nothing"
    assert shown.removal.backups == (made[0], made[1])
    assert shown.removal.wal[0].archive_id == "17-1"
    assert shown.window is not None
    assert shown.window_after is not None
    assert shown.window.earliest < shown.window_after.earliest
    archived = site.archived_segments()
    ended = expire(site)
    assert (ended.state, ended.removed) == ("done", (made[0], made[1]))
    assert labels(site) == made[2:]
    gone = archived.keys() - site.archived_segments().keys()
    assert (shown.removal.wal[0].first, shown.removal.wal[0].last) == (min(gone), max(gone))
    assert forecast(site).removal == Removal()


def test_differential_backups_have_a_number_of_their_own(site: Site) -> None:
    keeping(site, diff="1")
    full, first, incr, second = take(site), take(site, "diff"), take(site, "incr"), take(site, "diff")
    assert forecast(site).removal.backups == tuple(sorted((first, incr)))
    assert expire(site).state == "done"
    assert labels(site) == [full, second]


def test_pgbackrest_alone_lets_the_last_good_backup_go_for_a_damaged_one(site: Site) -> None:
    """Why its automatic expire is not to be used."""
    keeping(site, full="1")
    good = take(site)
    damage(site)
    alone = tuple(word for word in pgbackrest.backup(STANZA, 1, "full") if word != "--no-expire-auto")
    assert len(alone) == len(pgbackrest.backup(STANZA, 1, "full")) - 1
    finished, _ = site.pgbackrest(alone)
    assert finished.ok
    assert good not in labels(site)


def test_the_last_good_full_backup_is_kept(site: Site) -> None:
    keeping(site, full="1")
    good = take(site)
    damage(site)
    damaged = take(site)
    assert forecast(site).refused is not None
    ended = expire(site)
    assert ended.state == "refused"
    assert good in ended.message
    assert labels(site) == [good, damaged]


# --- by age -----------------------------------------------------------------------------------------------------------


def make_older(site: Site, days: Mapping[str, int]) -> None:
    """Move backups into the past, in the repository's own list: that is where pgbackrest reads their age from."""
    for name in ("backup.info", "backup.info.copy"):
        file = site.repository / "backup" / STANZA / name
        lines = file.read_text("utf-8").splitlines()
        file.write_text(with_checksum([_older(line, days) for line in lines]), "utf-8")


def _older(line: str, days: Mapping[str, int]) -> str:
    label, _, value = line.partition("=")
    if label not in days:
        return line
    entry = json.loads(value)
    for key in ("backup-timestamp-start", "backup-timestamp-stop"):
        entry[key] -= days[label] * DAY
    return f"{label}={json.dumps(entry, separators=(',', ':'))}"


def with_checksum(lines: list[str]) -> str:
    """Return an info file with the checksum it must have: SHA-1 over its sections as one JSON object, but for itself."""
    sections: dict[str, list[str]] = {}
    section = ""
    for line in lines:
        if line.startswith("["):
            section = line[1:-1]
        elif line and not line.startswith(CHECKSUM):
            key, _, value = line.partition("=")
            sections.setdefault(section, []).append(f'"{key}":{value}')
    told = ",".join(f'"{name}":{{{",".join(entries)}}}' for name, entries in sections.items())
    digest = hashlib.sha1(f"{{{told}}}".encode(), usedforsecurity=False).hexdigest()
    return "".join(f'{CHECKSUM}"{digest}"\n' if line.startswith(CHECKSUM) else f"{line}\n" for line in lines)


def test_the_checksum_of_an_untouched_list_is_its_own(site: Site) -> None:
    keeping(site)
    take(site)
    text = (site.repository / "backup" / STANZA / "backup.info").read_text("utf-8")
    assert with_checksum(text.splitlines()) == text


def by_days(site: Site) -> Site:
    return keeping(site, full="7", full_type="time")


def test_by_age_the_full_backup_before_the_window_stays(site: Site) -> None:
    by_days(site)
    made = [take(site) for _ in range(3)]
    list_of_backups = site.repository / "backup" / STANZA / "backup.info"
    as_taken = list_of_backups.read_bytes()
    for ages, gone in (
        ((3, 2, 1), 0),  # all are young
        ((9, 5, 1), 0),  # the old one reaches back over the whole window
        ((400, 300, 200), 2),  # the last one stays however old it is
        ((20, 9, 1), 1),  # of two old ones the newer is enough
    ):
        for name in ("backup.info", "backup.info.copy"):
            list_of_backups.with_name(name).write_bytes(as_taken)
        make_older(site, dict(zip(made, ages, strict=True)))
        assert labels(site) == made
        assert forecast(site).removal.backups == tuple(made[:gone]), ages
    assert expire(site).state == "done"
    assert labels(site) == made[1:]


def test_by_age_too_a_damaged_backup_does_not_replace_the_last_good_one(site: Site) -> None:
    by_days(site)
    good = take(site)
    damage(site)
    made = [good, take(site), take(site)]
    make_older(site, dict(zip(made, (20, 9, 1), strict=True)))
    assert expire(site).state == "refused"
    assert labels(site) == made
