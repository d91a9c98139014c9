"""The life of a repository in an object store, from an empty bucket to an empty host: what the services' scenarios share.

A scenario derives a class from `FullCycle` and has the fixtures `shop` (a stack that is configured, not started) and
`bucket` (the store's own view of what lies in it). The tests build on each other, in the order of this file.
"""

from __future__ import annotations

import json
import uuid
import zlib
from pathlib import Path
from typing import Final, Protocol

from tests.e2e.stack import Stack, wait_until

MARKER: Final = f"readable-{uuid.uuid4().hex}"
"""A row with this text is in the database from the beginning: whoever can read a backup finds it."""

PASSWORD: Final = "correct horse battery staple"
ENCRYPTED: Final = b"Salted__"
SALES: Final = "SELECT count(*), max(id), md5(string_agg(id || note, ',' ORDER BY id)) FROM sale"


def shrinks(data: bytes) -> bool:
    """Tell whether the bytes have any order left that a compressor finds: compressed ones still have, encrypted ones not."""
    return len(zlib.compress(data)) < len(data)


class Bucket(Protocol):
    """What lies in the store, seen past pgbackrest."""

    def names(self) -> list[str]:
        """Return the name of every object."""

    def contents(self) -> dict[str, bytes]:
        """Return every object as it lies there, by its name."""

    def holds(self, text: str) -> bool:
        """Tell whether the text is anywhere in what the store keeps."""


class FullCycle:
    """Deploy, archive, back up, list, check, restore, expire, and begin again on an empty host."""

    def test_a_deployment_makes_the_stanza_and_the_first_backup(self, shop: Stack, bucket: Bucket) -> None:
        assert bucket.names() == []
        deployed = shop.make("deploy")
        assert deployed.code == 0, deployed.output
        assert [backup["type"] for backup in shop.backups()] == ["full"]
        names = bucket.names()
        assert {"pgbackrest/archive/salespider/archive.info", "pgbackrest/backup/salespider/backup.info"} <= set(names)
        assert all(name.startswith("pgbackrest/") for name in names), "nothing lies outside the prefix"

    def test_every_segment_comes_into_the_bucket(self, shop: Stack, bucket: Bucket) -> None:
        shop.sql(f"CREATE TABLE sale AS SELECT id, '{MARKER}' || id AS note FROM generate_series(1, 1000) id")
        segment = shop.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        shop.sql("SELECT pg_switch_wal()")
        wait_until(lambda: any(f"/{segment}-" in name for name in bucket.names()), 30, f"{segment} in the bucket")

    def test_every_type_of_backup(self, shop: Stack) -> None:
        for verb in ("backup-diff", "backup-incr"):
            shop.sql("INSERT INTO sale SELECT max(id) + 1, 'one more' FROM sale")
            taken = shop.make(verb)
            assert taken.code == 0, taken.output
        assert [backup["type"] for backup in shop.backups()] == ["full", "diff", "incr"]

    def test_listing_and_checking(self, shop: Stack) -> None:
        listed, checked = shop.make("backup-info"), shop.make("backup-check")
        assert listed.code == 0, listed.output
        assert all(backup["label"] in listed.stdout for backup in shop.backups())
        assert checked.code == 0, checked.output

    def test_the_commands_that_the_guide_prints(self, shop: Stack) -> None:
        pgbackrest = ("pgbackrest", "--stanza=salespider")
        assert "status: ok" in shop.exec("backup", *pgbackrest, "info").stdout
        assert json.loads(shop.exec("backup", *pgbackrest, "info", "--output=json").stdout)[0]["status"]["code"] == 0
        assert "completed successfully" in shop.exec("backup", *pgbackrest, "check").stdout
        before = len(shop.backups())
        shop.exec("backup", *pgbackrest, "--type=diff", "backup")
        assert len(shop.backups()) == before + 1

    def test_nothing_in_the_bucket_can_be_read(self, shop: Stack, bucket: Bucket) -> None:
        """A bundle begins with a salt and without OpenSSL's mark; but what is encrypted can never be made smaller."""
        objects = bucket.contents()
        assert sum("/bundle/" in name for name in objects) >= 3
        assert [name for name, data in objects.items() if not (data.startswith(ENCRYPTED) or "/bundle/" in name)] == []
        assert [name for name, data in objects.items() if shrinks(data)] == []
        assert not bucket.holds(MARKER)

    def test_back_to_a_moment(self, shop: Stack) -> None:
        before = shop.sql(SALES)
        moment = shop.sql("SELECT clock_timestamp()")
        shop.sql("DELETE FROM sale")
        restored = shop.make("restore-pitr", TARGET=moment, CONFIRM="yes")
        assert restored.code == 0, restored.output
        assert shop.sql(SALES) == before

    def test_back_to_the_latest_state(self, shop: Stack) -> None:
        shop.sql("INSERT INTO sale SELECT max(id) + 1, 'after the last backup' FROM sale")
        before = shop.sql(SALES)
        restored = shop.make("restore-latest", CONFIRM="yes")
        assert restored.code == 0, restored.output
        assert shop.sql(SALES) == before

    def test_what_is_not_kept_goes_out_of_the_bucket(self, shop: Stack, bucket: Bucket) -> None:
        """One full backup is kept: the first one goes, what builds on it, and the WAL before the new one."""
        old, before = [backup["label"] for backup in shop.backups()], bucket.names()
        taken = shop.make("backup")
        assert taken.code == 0, taken.output
        (kept,) = shop.backups()
        after = bucket.names()
        assert [name for name in after if any(f"/{label}/" in name for label in old)] == []
        segments = sorted(name for name in before if "/archive/salespider/17-1/" in name and "-" in Path(name).name)
        first = kept["archive"]["start"]
        gone = [name for name in segments if name not in after]
        assert gone
        assert all(Path(name).name[8:24] < first[8:] for name in gone), "only WAL before the backup that is kept"
        assert shop.make("backup-check").code == 0

    def test_an_empty_host_gets_everything_back(self, shop: Stack) -> None:
        """Only the bucket and the recovery kit are left."""
        secret = shop.directory / "password"
        secret.write_text(f"{PASSWORD}\n")
        kit = shop.directory / "kit.jwe"
        for verb in ("recovery-kit", "recovery-kit-verify"):
            made = shop.make(verb, FILE=str(kit), KIT_PASSWORD_FILE=str(secret))
            assert made.code == 0, made.output
        shop.sql("INSERT INTO sale SELECT max(id) + 1, 'just before the fire' FROM sale")
        before, segment = shop.sql(SALES), shop.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        shop.sql("SELECT pg_switch_wal()")
        archived = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
        wait_until(lambda: shop.sql(archived) == "t", 30, "the last segment in the archive")
        shop.compose("--profile", "ops", "down", "--volumes", "--timeout", "5", check=False)  # the store is on its network
        assert shop.run("docker", "volume", "ls", "--quiet", "--filter", f"name={shop.project}").stdout == ""
        shop.env_file.unlink()

        deployed = shop.make("deploy", FROM_KIT=str(kit), KIT_PASSWORD_FILE=str(secret))
        assert deployed.code == 0, deployed.output
        assert "make restore-latest" in deployed.output
        restored = shop.make("restore-latest", CONFIRM="yes")
        assert restored.code == 0, restored.output
        assert shop.sql(SALES) == before
