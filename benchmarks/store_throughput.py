"""Backup and restore into a directory and into an object store, beside what the usual tools make of the same bytes.

`python3 -m benchmarks.store_throughput [ROUNDS] [GIGABYTES]` in the development environment, with built images
(`TEST_IMAGE_TAG` names them, `test` unless set). One stack with two repositories, a volume and SeaweedFS; half of the data
is pgbench's, which compresses well, half is random. Everything is done in turn in each round, with two processes, everything
encrypted: a full backup into each repository; `tar | lz4 -1 | openssl enc | dd` of the same directory into the volume; one
upload of what that made, as one stream (`curl`); and the way back: a restore from each repository into an empty directory,
`openssl | lz4 | tar`, and one download. Then what a backup takes of memory and time with 1, 2 and 4 processes and bigger
parts, near and 50 ms away.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.stores import machine, s3, sampled, spread
from tests.e2e.stack import HELPER_IMAGE, Stack
from tests.stores.kinds import Seaweed

TOOLS_IMAGE: Final = "salespider-bench-tools"
BACKUP: Final = "pgbackrest --stanza=salespider --repo={repo} --type=full --archive-timeout=300 {options} backup"
RESTORE: Final = (
    "rm -rf /scratch/data; pgbackrest --stanza=salespider --repo={repo} --pg1-path=/scratch/data --lock-path=/scratch/lock "
    "--no-delta --archive-mode=off --type=immediate {options} restore"
)
ENCRYPT: Final = "openssl enc -aes-256-cbc -md sha1 -pass pass:benchmark"
PLACE: Final = "https://{host}:{port}/{bucket}/plain"
CURL: Final = "curl --silent --fail --cacert /store/ca.pem --aws-sigv4 aws:amz:us-east-1:s3 --user {key}:{secret} "
UNSIGNED: Final = "--header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "


@dataclass(frozen=True)
class Bench:
    """The stack, its store, and a container with the tools, the data directory and a scratch volume."""

    stack: Stack
    store: Seaweed
    tools: str

    def backup(self, repo: int, options: str = "--process-max=2") -> None:
        """Take a full backup where the product does."""
        self.stack.exec("backup", "sh", "-ceu", BACKUP.format(repo=repo, options=options))

    def restore(self, repo: int, options: str = "--process-max=2") -> None:
        """Restore the last backup into the empty scratch volume."""
        self.tool(RESTORE.format(repo=repo, options=options))

    def tool(self, script: str) -> str:
        """Run a script in the container with the tools."""
        return self.stack.run("docker", "exec", self.tools, "bash", "-ceuo", "pipefail", script).stdout

    def curl(self, options: str) -> None:
        """Transfer one object of the store."""
        store = self.store
        address = PLACE.format(host=store.host, port=store.port, bucket=store.bucket)
        self.tool(CURL.format(key=store.key, secret=store.secret) + UNSIGNED + options + " " + address)


@contextmanager
def tools(stack: Stack, store: Seaweed) -> Iterator[Bench]:
    """Run a container with everything that a backup and a restore need, and the tools."""
    context = str(Path(__file__).parent)
    stack.run("docker", "build", "--quiet", "--build-arg", f"IMAGE={HELPER_IMAGE}", "--tag", TOOLS_IMAGE, context)
    name, scratch = stack.container("tools"), stack.volume("scratch")
    volumes = {
        scratch: "/scratch",
        stack.config_volume: "/etc/pgbackrest:ro",
        stack.volume("postgres-data"): "/data:ro",
        stack.volume("backup-repo"): "/var/lib/pgbackrest",
        str(store.ca_file): "/store/ca.pem:ro",
        str(store.ca_file.parent): "/run/secrets:ro",
    }
    mounts = [part for source, place in volumes.items() for part in ("--volume", f"{source}:{place}")]
    network = f"{stack.project}-net"
    stack.run("docker", "run", "--detach", "--name", name, "--network", network, *mounts, TOOLS_IMAGE, "sleep", "infinity")
    try:
        stack.run("docker", "exec", "--user", "0:0", name, "chown", "999:999", "/scratch")
        yield Bench(stack, store, name)
    finally:
        stack.run("docker", "rm", "--force", "--volumes", name, check=False)
        stack.run("docker", "volume", "rm", scratch, check=False)


def fill(stack: Stack, gigabytes: float) -> float:
    """Make the data, wait until its WAL is archived; return the gigabytes of all databases."""
    scale, rows = round(gigabytes * 33), round(gigabytes * 1e9 / 2 / 93)
    stack.exec("postgres", "pgbench", "-U", "postgres", "-d", "salespider", "-q", "-i", "-s", str(scale))
    columns = ", ".join(f"gen_random_uuid() AS u{number}" for number in range(4))
    stack.sql(f"CREATE TABLE ballast AS SELECT {columns} FROM generate_series(1, {rows})")
    stack.sql("CHECKPOINT")
    stack.exec("backup", "pgbackrest", "--stanza=salespider", "--archive-timeout=300", "check")
    return int(stack.sql("SELECT sum(pg_database_size(oid)) FROM pg_database")) / 1e9


def steps(bench: Bench) -> dict[str, Callable[[], object]]:
    # The server is at work: tar ends with 1 when a file has changed meanwhile.
    read = "{ tar -C /data --exclude=data/pg_wal -c data || test $? = 1; }"
    pack = f"{read} | lz4 -1 -c | {ENCRYPT} | dd of=/var/lib/pgbackrest/plain bs=1M conv=fsync status=none"
    unpack = f"dd if=/var/lib/pgbackrest/plain bs=1M status=none | {ENCRYPT} -d | lz4 -d -c | tar -C /scratch/data -x"
    return {
        "backup, posix": lambda: bench.backup(1),
        "tar, lz4, openssl, dd into the same volume": lambda: bench.tool(pack),
        "backup, S3": lambda: bench.backup(2),
        "upload of the same bytes, one stream": lambda: bench.curl("--upload-file /var/lib/pgbackrest/plain"),
        "restore, posix": lambda: bench.restore(1),
        "dd, openssl, lz4, tar": lambda: bench.tool(f"rm -rf /scratch/data; mkdir /scratch/data; {unpack}"),
        "restore, S3": lambda: bench.restore(2),
        "download of the same bytes, one stream": lambda: bench.curl("--output /scratch/plain"),
    }


def seconds(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def throughput(bench: Bench, rounds: int, gigabytes: float) -> None:
    """Measure and print; interrupted, the rounds that are whole. The first one warms up."""
    doing, measured = steps(bench), list[dict[str, float]]()
    try:
        for _ in range(rounds + 1):
            taken = {}
            for name, act in doing.items():
                taken[name] = seconds(act)
                print(f"{name}: {taken[name]:.1f} s", file=sys.stderr, flush=True)
            measured.append(taken)
    finally:
        if measured[1:]:
            print_times(measured[1:], gigabytes, int(bench.tool("stat -c %s /var/lib/pgbackrest/plain")) / 1e9)


def print_times(measured: list[dict[str, float]], gigabytes: float, stored: float) -> None:
    print(f"\n| {gigabytes:.2f} GB, {stored:.2f} GB packed, {len(measured)} rounds | median, s | min - max | MB/s |")
    print("| --- | --- | --- | --- |")
    names = list(measured[0])
    for name in names:
        values = [taken[name] for taken in measured]
        print(f"| {name} | {spread(values)} | {gigabytes * 1000 / statistics.median(values):.0f} |")
    print("\n| ratio of the times, by pair | median | min - max |\n| --- | --- | --- |")
    for ours, theirs in zip(names[::2], names[1::2], strict=True):
        ratios = [taken[ours] / taken[theirs] for taken in measured]
        print(f"| {ours}: {theirs} | {spread(ratios, 2)} |", flush=True)


def memory(bench: Bench) -> None:
    """Print what a backup takes of memory, and of time, near and far, with parts of pgbackrest's size and bigger ones."""
    print("\n| a backup into S3 | seconds at 0 ms | at 50 ms | memory of all processes, MiB | of the biggest |")
    print("| --- | --- | --- | --- | --- |")
    for size in ("5MiB", "16MiB"):
        for count in (1, 2, 4):
            options = f"--process-max={count} --repo2-storage-upload-chunk-size={size}"
            backup = partial(bench.backup, 2, options)
            near = seconds(backup)
            bench.store.slow(50)
            far = seconds(backup)
            bench.store.slow(0)
            together, one = sampled(bench.stack, "backup", backup)
            print(f"| process-max {count}, parts of {size} | {near:.1f} | {far:.1f} | {together:.0f} | {one:.0f} |")


def main() -> None:
    given = sys.argv[1:]
    rounds, gigabytes = int(next(iter(given), "5")), float(next(iter(given[1:]), "1.1"))
    print(machine(), flush=True)
    variables = {"PGBACKREST_REPO1_TYPE": "posix", "BACKUP_RETENTION_FULL": "1"}
    with s3("bench-store", variables, repo=2) as (stack, store), tools(stack, store) as bench:
        throughput(bench, rounds, fill(stack, gigabytes))
        memory(bench)
    print(machine())


if __name__ == "__main__":
    main()
