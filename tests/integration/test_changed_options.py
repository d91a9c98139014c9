"""What pgbackrest does with an increment after the options of its full backup were changed: it is taken, and it restores.

So no change of these options calls for a full backup (backup/due/chain.py knows none), and this is the proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from backup.taking import jobs
from contract import paths
from contract.supervisor import BackupType
from tests.integration.site import STANZA, Options, Site, must, program, wait_until

FILES: Options = {"repo1-bundle": "n"}
BLOCKS: Options = {"repo1-bundle": "y", "repo1-block": "y"}
ROWS = 20_000


@dataclass
class Side:
    """A restored copy beside the live server."""

    site: Site

    def rows(self, label: str) -> str:
        """Restore a backup set into a directory of its own, start it, and count."""
        root = self.site.root / f"side-{label[-16:]}"
        for name in ("data", "lock", "spool"):
            (root / name).mkdir(parents=True)
        (root / "data").chmod(0o700)
        own = (f"--pg1-path={root}/data", f"--lock-path={root}/lock", f"--spool-path={root}/spool")
        how = ("--archive-mode=off", "--type=immediate", "--target-action=promote", f"--set={label}", "--repo=1")
        # Its own command would repeat the spool path, which archive-get refuses without archive-async.
        get = f'pgbackrest --stanza={STANZA} --pg1-path={root}/data --lock-path={root}/lock archive-get %f "%p"'
        must("pgbackrest", f"--stanza={STANZA}", *own, *how, f"--recovery-option=restore_command={get}", "restore")
        port = self.site.port + 1000
        log = root / "log"
        started = program("pg_ctl", "-D", f"{root}/data", "-l", str(log), "-o", f"-p {port}", "--wait", "start")
        assert started.returncode == 0, log.read_text(errors="replace")
        try:
            ask = ("psql", "-XqAt", f"--host={paths.SOCKET}", f"--port={port}", "-c")
            wait_until(lambda: program(*ask, "SELECT pg_is_in_recovery()").stdout.strip() == "f")
            return must(*ask, "SELECT count(*) || ' ' || sum(n) || ' ' || sum(changed) FROM kept").strip()
        finally:
            program("pg_ctl", "-D", f"{root}/data", "--wait", "--mode=immediate", "stop")


CHANGES: list[tuple[str, Options, Options]] = [
    ("bundles and blocks switched on", FILES, BLOCKS),
    ("bundles and blocks switched off", BLOCKS, FILES),
    ("another compression", {**BLOCKS, "compress-type": "lz4"}, {**BLOCKS, "compress-type": "zst"}),
    ("pages checked from now on", {**BLOCKS, "checksum-page": "n"}, BLOCKS),
]


@pytest.mark.parametrize(("case", "before", "after"), CHANGES, ids=[row[0] for row in CHANGES])
def test_increments_go_on_and_restore_whatever_option_is_changed(
    case: str, before: Options, after: Options, site: Site
) -> None:
    site.publish(before)
    site.create_stanza()
    site.sql(f"CREATE TABLE kept AS SELECT n, 0 AS changed FROM generate_series(1, {ROWS}) AS n")
    site.back_up("full")
    site.publish(after)
    taken = []
    kinds: list[BackupType] = ["diff", "incr"]
    for number, kind in enumerate(kinds, 1):
        site.sql(f"UPDATE kept SET changed = {number} WHERE n % 1000 = {number}")
        outcome = site.back_up(kind)
        assert outcome.state == "succeeded", outcome
        taken.append(outcome.label or "")
    with site.deployment() as deployment:
        info = jobs.read_info(deployment)
    assert [backup.kind for backup in info.backups] == ["full", *kinds]
    assert Side(site).rows(taken[-1]) == f"{ROWS} {ROWS * (ROWS + 1) // 2} {ROWS // 1000 * (1 + 2)}"


def test_the_cluster_of_each_backup_is_known(site: Site) -> None:
    site.protect()
    with site.deployment() as deployment:
        info, server = jobs.read_info(deployment), deployment.postgres.server()
    assert [(b.system_id, b.version) for b in info.backups] == [(server.system_id, server.version.split(".")[0])]
