"""The policies of docs/guide/s3.md, as they are printed there: each allows what the page says it does, and nothing more.

The bucket is one with object lock, as the page advises: what is deleted with the keys of the deployment is there still.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import ROOT, Result, Stack, wait_until

PAGE = (ROOT / "docs" / "guide" / "s3.md").read_text(encoding="utf-8")
POLICY = re.compile(r"^#### (\w+)\n.*?```json\n(.*?)```", re.MULTILINE | re.DOTALL)
BUCKET = "locked-backups"
RETENTION = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}}
ACCESS_DENIED = 39
"""pgBackRest's code for an answer of the store that it did not want."""
LOCKED = 50
"""Its code where another pgbackrest is at work."""


def policies() -> dict[str, str]:
    """Return the printed policies by the first word of their headings."""
    return {name.lower(): text for name, text in POLICY.findall(PAGE)}


@dataclass(frozen=True)
class Site:
    """A shop whose own identity has the policy for everything; the keys of the other identities by name."""

    shop: Stack
    store: Any
    keys: Mapping[str, tuple[str, str]]

    def pgbackrest(self, identity: str, *arguments: str, service: str = "backup") -> Result:
        """Run pgbackrest with the keys of another identity."""
        key, secret = self.keys[identity]
        variables = (f"PGBACKREST_REPO1_S3_KEY={key}", f"PGBACKREST_REPO1_S3_KEY_SECRET={secret}")
        options = [part for variable in variables for part in ("--env", variable)]
        container = self.shop.container(service)
        argv = ("docker", "exec", *options, container, "pgbackrest", "--stanza=salespider", *arguments)
        done: list[Result] = []

        def is_done() -> bool:
            done.append(self.shop.run(*argv, check=False))
            return done[-1].code != LOCKED

        wait_until(is_done, 60, "the archiver's own pgbackrest to be done")
        return done[-1]

    def names(self) -> set[str]:
        """Return the name of every object."""
        pages = self.store.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {entry["Key"] for page in pages for entry in page.get("Contents", ())}

    def versions(self) -> dict[str, str]:
        """Return the name of every object that ever was, and one of its versions."""
        pages = self.store.client().get_paginator("list_object_versions").paginate(Bucket=BUCKET)
        return {entry["Key"]: entry["VersionId"] for page in pages for entry in page.get("Versions", ())}


@pytest.fixture(scope="module")
def site(stacks: Stacks) -> Site:
    shop = stacks.new()
    store = stacks.store("s3", shop)
    store.client().create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    store.client().put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=RETENTION)
    keys = {name: (f"AK{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)) for name in policies()}
    for name, policy in policies().items():
        store.allow_by_policy(name, *keys[name], policy.replace("your-backup-bucket", BUCKET))
    key, secret = keys["everything"]
    own = {"AWS_S3_BUCKET": BUCKET, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    shop.configure(SETUP_BACKUP="true", BACKUP_CPU_LIMIT="2", BACKUP_RETENTION_FULL="1", **{**store.variables(), **own})
    store.client().put_object(Bucket=BUCKET, Key="somebody-elses/object", Body=b"x")
    wait_until(lambda: allowed(store, keys["everything"]), 30, "the policies to be in force")
    shop.start()
    return Site(shop, store, keys)


def allowed(store: Any, keys: tuple[str, str]) -> bool:
    """Tell whether these keys may list the prefix of the backups yet."""
    client = store.client(*keys)
    try:
        return bool(client.list_objects_v2(Bucket=BUCKET, Prefix="pgbackrest/"))
    except client.exceptions.ClientError:
        return False


def test_the_page_has_four_policies() -> None:
    assert sorted(policies()) == ["archiving", "backups", "everything", "pruning"]
    assert all(json.loads(text)["Statement"] for text in policies().values())


def test_everything_is_enough_for_everything(site: Site) -> None:
    for verb in ("backup-diff", "backup", "backup-check"):
        done = site.shop.make(verb)
        assert done.code == 0, done.output
    assert [backup["type"] for backup in site.shop.backups()] == ["full"], "expire needs it, too"
    restored = site.shop.make("restore-latest", CONFIRM="yes")
    assert restored.code == 0, restored.output


def test_none_reaches_what_is_not_in_the_prefix(site: Site) -> None:
    for keys in site.keys.values():
        client = site.store.client(*keys)
        for ask, more in ((client.get_object, {}), (client.put_object, {"Body": b"x"}), (client.delete_object, {})):
            with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
                ask(Bucket=BUCKET, Key="somebody-elses/object", **more)


def test_archiving_archives_reads_and_restores_and_deletes_nothing(site: Site) -> None:
    shop = site.shop
    shop.sql("ALTER SYSTEM SET archive_command = 'false'")
    shop.sql("SELECT pg_reload_conf()")
    segment = shop.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    shop.sql("SELECT pg_switch_wal()")
    pushed = site.pgbackrest(
        "archiving", "--no-archive-async", "archive-push", f"/var/lib/postgresql/data/pg_wal/{segment}", service="postgres"
    )
    shop.sql("ALTER SYSTEM RESET archive_command")
    shop.sql("SELECT pg_reload_conf()")
    assert pushed.code == 0, pushed.output
    assert any(segment in name for name in site.names())
    place = "/tmp/restored"
    for arguments in (
        ("info",),
        ("check",),
        ("stanza-create",),
        ("archive-get", segment, "/tmp/segment"),
        ("--repo=1", "verify"),
        ("--no-delta", f"--pg1-path={place}", f"--spool-path={place}.spool", "--type=none", "restore"),
    ):
        done = site.pgbackrest("archiving", *arguments)
        assert done.code == 0, done.output
    before = site.names()
    assert site.pgbackrest("archiving", "--type=diff", "backup").code == ACCESS_DENIED
    assert site.pgbackrest("archiving", "--repo1-retention-full=1", "--set=" + shop.backups()[0]["label"], "expire").code
    assert before <= site.names()


def test_backups_takes_backups_and_deletes_none(site: Site) -> None:
    taken = site.pgbackrest("backups", "--type=diff", "--no-expire-auto", "backup")
    assert taken.code == 0, taken.output
    before = site.names()
    label = site.shop.backups()[-1]["label"]
    assert site.pgbackrest("backups", f"--set={label}", "expire").code != 0
    assert before <= site.names()


def test_pruning_expires_and_neither_archives_nor_takes_backups(site: Site) -> None:
    assert site.pgbackrest("pruning", "--type=diff", "--no-expire-auto", "backup").code == ACCESS_DENIED
    label = site.shop.backups()[-1]["label"]
    expired = site.pgbackrest("pruning", f"--set={label}", "expire")
    assert expired.code == 0, expired.output
    assert not any(f"/{label}/" in name for name in site.names())
    assert label not in [backup["label"] for backup in site.shop.backups()]


def test_what_was_expired_is_there_still_for_whom_the_deployment_is_not(site: Site) -> None:
    """A full backup was expired above. Neither its keys nor the store's own ones remove what is locked."""
    listed = {backup["label"] for backup in site.shop.backups()}
    gone = [name for name in site.versions() if re.search(r"/(\d{8}-\d{6}F)/bundle/1$", name) and name not in site.names()]
    assert gone
    assert not any(label in gone[0] for label in listed)
    for client in (site.store.client(*site.keys["everything"]), site.store.client()):
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.delete_object(Bucket=BUCKET, Key=gone[0], VersionId=site.versions()[gone[0]])
    kept = site.store.client().get_object(Bucket=BUCKET, Key=gone[0], VersionId=site.versions()[gone[0]])
    assert len(kept["Body"].read()) > 1000
