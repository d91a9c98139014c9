"""How long the database is away while it is restored: ours beside the plain way, pg_basebackup's and Barman's.

`python3 -m benchmarks.restore_downtime [ROUNDS] [GIGABYTES…]` in the development environment, with built images
(`TEST_IMAGE_TAG` names them, `test` unless set). For each size one stack with a posix repository; half of the data is
pgbench's, half is random. In each round the latest state is restored in every way, one after the other, while a client
commits fifty rows a second: the downtime is the longest time between two commits that it got through, by the server's
clock, and every row that was acknowledged must be there afterwards. The total is what the operator waits for.

The plain way is what pgBackRest's manual says: stop, `restore --delta`, start; once over intact files, its best case, and
once into an empty directory, as after a lost disk, where `restore` copies every file. The copy of pg_basebackup lies
unpacked and uncompressed on the same disk and is copied back whole; Barman (Debian's) restores its own backup of the same
server. Both fetch WAL from the same archive as ours. Each of these copies takes the space of the whole cluster: above
`COPIES_UP_TO_GB` only the ways that need pgBackRest's repository alone are compared.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from benchmarks.store_throughput import fill
from benchmarks.stores import PATIENCE_SECONDS, machine, posix, spread
from tests.e2e.ledger import Ledger
from tests.e2e.stack import HELPER_IMAGE, Stack, wait_until

TOOLS_IMAGE: Final = "salespider-bench-restore"
ROWS_A_SECOND: Final = 50
COPIES_UP_TO_GB: Final = 5.0
DATA: Final = "/var/lib/postgresql/data"
BASE: Final = "/scratch/base"
RESTORE_COMMAND: Final = "restore_command = 'pgbackrest-restore-command %f \"%p\"'"
BARMAN: Final = """
[barman]
barman_home = /scratch/barman
barman_user = postgres
log_file = /scratch/barman.log
path_prefix = /usr/lib/postgresql/17/bin
[bench]
description = bench
conninfo = host=/var/run/postgresql user=postgres dbname=postgres
streaming_conninfo = host=/var/run/postgresql user=postgres
backup_method = postgres
streaming_archiver = on
slot_name = barman
create_slot = auto
backup_options = concurrent_backup
"""


@dataclass(frozen=True)
class Taken:
    """Seconds: without the database, and of the whole."""

    downtime: float
    total: float


class Bench:
    """A stack, and a container with its volumes and the tools of the others."""

    def __init__(self, stack: Stack, tools: str, *, with_copies: bool) -> None:
        """Take both, and whether the others' copies are made as well."""
        self.stack, self.tools, self.with_copies = stack, tools, with_copies

    @property
    def ways(self) -> dict[str, Callable[[], None]]:
        """The ways to restore, by name, ours first."""
        from_repository = {
            "restore-latest": self.ours,
            "stop, `pgbackrest --delta restore`, start": self.plain,
            "restore-latest IN_PLACE=yes": self.in_place,
            "stop, `pgbackrest restore` into an empty directory, start": self.plain_empty,
        }
        from_copies = {"pg_basebackup, copied back": self.basebackup, "Barman": self.barmans}
        return {**from_repository, **(from_copies if self.with_copies else {})}

    def tool(self, script: str) -> str:
        """Run a script in the container with the tools."""
        return self.stack.run("docker", "exec", self.tools, "bash", "-ceuo", "pipefail", script).stdout

    def prepare(self) -> None:
        """Take a backup in each way. All is frozen before, or autovacuum would write every page anew after each restore."""
        self.stack.sql("VACUUM (FREEZE)")
        if self.with_copies:
            self._prepare_copies()
        assert self.stack.make("backup").code == 0

    def _prepare_copies(self) -> None:
        self.tool(f"pg_basebackup -h /var/run/postgresql -U postgres -D {BASE} -c fast -X stream")
        self.tool(f"cat > /scratch/barman.conf <<'END'\n{BARMAN}\nEND\nmkdir -p /scratch/barman")
        self.barman("receive-wal --create-slot bench || true")
        self.barman("cron; sleep 5")
        self.barman("switch-wal --force --archive bench")  # it takes no backup before it has seen a segment
        self.barman("backup bench")
        self.barman("switch-wal --force --archive bench")  # the backup is good when its last segment is there

    def barman(self, words: str) -> str:
        """Run Barman."""
        return self.tool(f"barman -c /scratch/barman.conf {words}")

    def ours(self) -> None:
        """Restore beside, and swap."""
        self._make("restore-latest")

    def in_place(self) -> None:
        """Restore over the stopped cluster."""
        self._make("restore-latest", IN_PLACE="yes")

    def plain(self) -> None:
        """Do what pgBackRest's manual says."""
        self.stack.docker("stop", "postgres")
        self.stack.exec("backup", "pgbackrest", "--stanza=salespider", "--delta", "restore")
        self._start()

    def plain_empty(self) -> None:
        """Do it where nothing is left."""
        self.stack.docker("stop", "postgres")
        self.tool(f"find {DATA} -mindepth 1 -delete")
        self.stack.exec("backup", "pgbackrest", "--stanza=salespider", "restore")
        self._start()

    def basebackup(self) -> None:
        """Copy the base backup back, and replay."""
        self.stack.docker("stop", "postgres")
        self.tool(f"rm -rf {DATA}/*; cp -a {BASE}/. {DATA}/")
        self._replay()

    def barmans(self) -> None:
        """Let Barman put its backup back."""
        self.stack.docker("stop", "postgres")
        self.tool(f"rm -rf {DATA}/*")
        self.barman(f"recover bench latest {DATA}")
        self._replay()

    def settle(self) -> None:
        """Wait for the backup after a restore, and remove the cluster that is kept."""
        wait_until(lambda: self.stack.doing().startswith("idle"), PATIENCE_SECONDS, "an idle supervisor")
        self.stack.make("restore-cleanup", CONFIRM="yes")

    def _replay(self) -> None:
        self.tool(f"touch {DATA}/recovery.signal; cat >> {DATA}/postgresql.auto.conf <<'END'\n{RESTORE_COMMAND}\nEND")
        self._start()

    def _start(self) -> None:
        self.stack.docker("start", "postgres")
        wait_until(self.stack.is_open, PATIENCE_SECONDS, "the database")

    def _make(self, verb: str, **variables: str) -> None:
        done = self.stack.make(verb, CONFIRM="yes", **variables)
        assert done.code == 0, done.output


@contextmanager
def bench(*, with_copies: bool) -> Iterator[Bench]:
    """Run a stack and the container with the tools."""
    with posix("bench-restore") as stack:
        recipe = f"FROM {HELPER_IMAGE}\nUSER root\nRUN apt-get update && apt-get install -y --no-install-recommends barman\n"
        context = stack.directory / "tools"
        context.mkdir()
        (context / "Dockerfile").write_text(recipe + 'USER postgres\nENTRYPOINT ["/usr/bin/tini", "--"]\n')
        stack.run("docker", "build", "--quiet", "--tag", TOOLS_IMAGE, str(context))
        name, scratch = stack.container("tools"), stack.volume("scratch")
        volumes = {
            scratch: "/scratch",
            stack.config_volume: "/etc/pgbackrest:ro",
            stack.volume("postgres-data"): str(Path(DATA).parent),
            stack.volume("postgres-run"): "/var/run/postgresql",
        }
        mounts = [part for source, place in volumes.items() for part in ("--volume", f"{source}:{place}")]
        stack.run("docker", "run", "--detach", "--name", name, *mounts, TOOLS_IMAGE, "sleep", "infinity")
        try:
            stack.run("docker", "exec", "--user", "0:0", name, "chown", "999:999", "/scratch")
            yield Bench(stack, name, with_copies=with_copies)
        finally:
            stack.run("docker", "rm", "--force", "--volumes", name, check=False)
            stack.run("docker", "volume", "rm", scratch, check=False)


def measured(bench: Bench, way: Callable[[], None]) -> Taken:
    """Restore while a client writes."""
    with Ledger(bench.stack, ROWS_A_SECOND) as ledger:
        ledger.wait_for(ROWS_A_SECOND, 60)
        began = time.monotonic()
        way()
        total = time.monotonic() - began
        ledger.wait_for(ROWS_A_SECOND, 60)
    assert ledger.missing(bench.stack) == [], "an acknowledged row is gone"
    moments = [at for _, at in ledger.rows]
    return Taken(max((later - earlier).total_seconds() for earlier, later in pairwise(moments)), total)


def compare(bench: Bench, rounds: int, gigabytes: float) -> None:
    """Print what each way takes; interrupted, the rounds that are whole."""
    found: list[dict[str, Taken]] = []
    try:
        for _ in range(rounds):
            taken = {}
            for name, way in bench.ways.items():
                taken[name] = measured(bench, way)
                print(f"{name}: {taken[name]}", file=sys.stderr, flush=True)
                bench.settle()
            found.append(taken)
    finally:
        if found:
            print_table(found, gigabytes)


def print_table(found: Sequence[dict[str, Taken]], gigabytes: float) -> None:
    heading = f"{gigabytes:.1f} GB, {len(found)} rounds"
    print(f"\n| {heading} | without the database, s | min - max | to ours | total, s | min - max |")
    print("| --- | --- | --- | --- | --- | --- |")
    ours = next(iter(found[0]))
    for name in found[0]:
        taken = [round_[name] for round_ in found]
        ratio = statistics.median(round_[name].downtime / round_[ours].downtime for round_ in found)
        downtime, total = spread([t.downtime for t in taken]), spread([t.total for t in taken])
        print(f"| {name} | {downtime} | {ratio:.1f} | {total} |", flush=True)


def main() -> None:
    given = sys.argv[1:]
    rounds, sizes = int(next(iter(given), "3")), [float(size) for size in given[1:]] or [1.0, 4.0, 10.0]
    print(machine(), flush=True)
    for size in sizes:
        with bench(with_copies=size <= COPIES_UP_TO_GB) as made:
            gigabytes = fill(made.stack, size)
            made.prepare()
            compare(made, rounds, gigabytes)
    print(machine())


if __name__ == "__main__":
    main()
