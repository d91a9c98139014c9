"""How fast WAL reaches the archive: one segment after the other or asynchronously, near and far, with 1, 2, 4 processes.

`python3 -m benchmarks.archive_throughput [ROUNDS] [SEGMENTS] [BACKLOG]` in the development environment, with built images
(`TEST_IMAGE_TAG` names them, `test` unless set). One stack with SeaweedFS behind a gate that adds to every round trip, one
with a posix repository. pgbench fills BACKLOG segments once. For each figure SEGMENTS of them are taken out of the archive,
marked as not archived, and PostgreSQL's own archiver pushes them again, with the configuration that setup writes but for
what is compared. All variants are measured in turn, in each round. Then the backlog: the store is stopped, all BACKLOG
segments are marked, PostgreSQL tries for a minute, the store is started, and the clock runs until nothing waits.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.stores import PATIENCE_SECONDS, machine, posix, s3, sampled, spread
from tests.e2e.stack import Stack, wait_until
from tests.stores.kinds import Seaweed

PUSH: Final = "pgbackrest --stanza=salespider {options} archive-push %p"
STATUS: Final = "/var/lib/postgresql/data/pg_wal/archive_status"
SPOOL: Final = "/var/spool/pgbackrest/archive/salespider/out"
SCALE: Final = 20
SEGMENT_MB: Final = 16.777216
OUTAGE_SECONDS: Final = 60


@dataclass(frozen=True)
class Variant:
    """What is compared: options of archive-push, and the round trip to the store in ms (None: the posix repository)."""

    name: str
    options: str
    delay_ms: int | None


OPTIONS: Final = {
    "synchronously": "--no-archive-async",
    **{f"asynchronously, process-max {count}": f"--process-max={count}" for count in (1, 2, 4)},
}
VARIANTS: Final = tuple(Variant(name, options, delay) for delay in (None, 0, 50) for name, options in OPTIONS.items())


def fill(stack: Stack, segments: int) -> list[str]:
    """Write so many segments with pgbench, keep them in pg_wal, and return their names when they are archived."""
    bench = ("pgbench", "-U", "postgres", "-d", "salespider")
    stack.sql("SELECT pg_create_physical_replication_slot('benchmark', true)")
    stack.exec("postgres", *bench, "-q", "-i", "-s", str(SCALE))
    stack.sql("SELECT pg_switch_wal()")
    first = stack.sql("SELECT pg_walfile_name(pg_current_wal_lsn() + 1)")
    full = f"SELECT pg_current_wal_lsn() - '{stack.sql('SELECT pg_current_wal_lsn()')}'::pg_lsn >= {segments * 2**24}"
    while stack.sql(full) != "t":
        stack.sql("CHECKPOINT")  # whole pages after it, as after any
        stack.exec("postgres", *bench, "-n", "-c", "4", "-T", "5", "-M", "prepared")
    wait_archived(stack)
    listing = stack.exec("postgres", "sh", "-c", f"cd {STATUS}; ls | grep -E '^[0-9A-F]{{24}}.done$'").stdout
    names = [name.removesuffix(".done") for name in listing.split() if name >= first]
    return names[:segments]


def waiting(stack: Stack) -> int:
    return int(stack.exec("postgres", "sh", "-c", f"find {STATUS} -name '*.ready' | wc -l").stdout)


def wait_archived(stack: Stack) -> None:
    wait_until(lambda: waiting(stack) == 0, PATIENCE_SECONDS, "an empty backlog")


def command(stack: Stack, text: str | None) -> float:
    """Set the archive command, which the archiver reads at once: empty, it waits; None is the product's. Return the time."""
    value = "RESET archive_command" if text is None else f"SET archive_command = '{text}'"
    stack.sql(f"ALTER SYSTEM {value}")
    return float(stack.sql("SELECT extract(epoch FROM clock_timestamp()) FROM pg_reload_conf()"))


def forget_in_store(store: Seaweed) -> None:
    prefix = f"/buckets/{store.bucket}/pgbackrest/archive/salespider/17-1"
    store.sh(f"echo 'fs.rm -rf {prefix}/0000000100000000 {prefix}/0000000100000001' | weed shell -master=127.0.0.1:9333")


def forget_in_volume(stack: Stack) -> None:
    stack.in_repository("rm -rf archive/salespider/17-1/*")


def mark(stack: Stack, names: list[str]) -> None:
    """Let PostgreSQL take the segments for not yet archived, and pgbackrest know nothing of them."""
    script = f"rm -f {SPOOL}/*; cd {STATUS}; for name in {' '.join(names)}; do mv $name.done $name.ready; done"
    stack.exec("postgres", "sh", "-ceu", script)


def drained(stack: Stack) -> float:
    """Wait until nothing waits; return when the last segment was archived, by the server's clock."""
    wait_archived(stack)
    return float(stack.sql("SELECT extract(epoch FROM last_archived_time) FROM pg_stat_archiver"))


def again(stack: Stack, names: list[str], options: str, forget: Callable[[], None]) -> float:
    """Archive the segments once more; return the seconds."""
    command(stack, "")
    forget()
    mark(stack, names)
    began = command(stack, PUSH.format(options=options))
    return drained(stack) - began


def throughput(far: tuple[Stack, Seaweed], near: Stack, rounds: int, names: dict[str, list[str]]) -> None:
    """Measure and print; interrupted, the rounds that are whole."""
    stack, store = far
    measured: list[dict[Variant, float]] = []
    try:
        for _ in range(rounds):
            rates = {}
            for variant in VARIANTS:
                if variant.delay_ms is None:
                    seconds = again(near, names["near"], variant.options, lambda: forget_in_volume(near))
                else:
                    store.slow(variant.delay_ms)
                    seconds = again(stack, names["far"], variant.options, lambda: forget_in_store(store))
                rates[variant] = len(names["far"]) / seconds
                print(f"{variant.delay_ms} {variant.name}: {rates[variant]:.2f}", file=sys.stderr, flush=True)
            measured.append(rates)
    finally:
        if measured:
            print_rates(measured, len(names["far"]))
    store.slow(0)


def print_rates(measured: list[dict[Variant, float]], segments: int) -> None:
    print(f"\n| {segments} segments, {len(measured)} rounds: segments/s | median | min - max | MB/s | to synchronously |")
    print("| --- | --- | --- | --- | --- |")
    for variant in VARIANTS:
        rates = [rates[variant] for rates in measured]
        plain = next(v for v in VARIANTS if v.delay_ms == variant.delay_ms)
        ratio = statistics.median(rates[variant] / rates[plain] for rates in measured)
        where = "posix" if variant.delay_ms is None else f"S3, {variant.delay_ms} ms"
        megabytes = statistics.median(rates) * SEGMENT_MB
        print(f"| {where}: {variant.name} | {spread(rates)} | {megabytes:.0f} | {ratio:.2f} |", flush=True)


def backlog(stack: Stack, store: Seaweed, names: list[str], rounds: int) -> None:
    """Print how long the product's own settings take to archive what an outage has left behind."""
    print(f"\n| backlog of {len(names)} segments, {rounds} times | median, s | min - max |\n| --- | --- | --- |")
    for delay in (0, 50):
        store.slow(delay)
        begun, empty = [], []
        for _ in range(rounds):
            started, seconds = after_outage(stack, store, names)
            begun.append(started)
            empty.append(seconds)
        print(f"| {delay} ms: from the store's start to the first segment | {spread(begun)} |")
        print(f"| {delay} ms: from the store's start until nothing waits | {spread(empty)} |")
    store.slow(0)


def after_outage(stack: Stack, store: Seaweed, names: list[str]) -> tuple[float, float]:
    command(stack, "")
    forget_in_store(store)
    store.stop()
    mark(stack, names)
    command(stack, None)
    time.sleep(OUTAGE_SECONDS)
    assert waiting(stack) >= len(names)
    store.start()
    began = float(stack.sql("SELECT extract(epoch FROM clock_timestamp())"))
    wait_until(lambda: waiting(stack) < len(names), PATIENCE_SECONDS, "the first segment")
    first = float(stack.sql("SELECT extract(epoch FROM clock_timestamp())"))
    return first - began, drained(stack) - began


def requests(stack: Stack, store: Seaweed, names: list[str]) -> None:
    """Print how many requests a segment takes."""
    print("\n| requests for each segment | all | of these PUT and POST |\n| --- | --- | --- |")
    for name, options in (*OPTIONS.items(), ("asynchronously, parts of 16 MiB", "--repo1-storage-upload-chunk-size=16MiB")):
        store.record()
        before = len(store.requests())
        again(stack, names, options, lambda: forget_in_store(store))
        sent = store.requests()[before:]
        writing = [request for request in sent if request["method"] in {"PUT", "POST"}]
        print(f"| {name} | {len(sent) / len(names):.1f} | {len(writing) / len(names):.1f} |")
    store.heal()


def memory(stack: Stack, store: Seaweed, names: list[str]) -> None:
    """Print what archive-push takes."""
    print("\n| memory of archive-push, asynchronously, MiB | all processes | the biggest |\n| --- | --- | --- |")
    for size in ("5MiB", "16MiB"):
        for count in (1, 2, 4):
            options = f"--process-max={count} --repo1-storage-upload-chunk-size={size}"

            def push(options: str = options) -> None:
                again(stack, names, options, lambda: forget_in_store(store))

            together, one = sampled(stack, "postgres", push)
            print(f"| process-max {count}, parts of {size} | {together:.0f} | {one:.0f} |")


def main() -> None:
    rounds, segments, most = (int(value) for value in (*sys.argv[1:], *("5", "32", "200")[len(sys.argv) - 1 :]))
    print(machine(), flush=True)
    with s3("bench-archive", {}) as (stack, store), posix("bench-archive-near") as near:
        far_names, near_names = fill(stack, max(segments, most)), fill(near, segments)
        names = {"far": far_names[:segments], "near": near_names[:segments]}
        throughput((stack, store), near, rounds, names)
        requests(stack, store, names["far"])
        memory(stack, store, names["far"])
        if most:
            backlog(stack, store, far_names[:most], rounds)
    print(machine())


if __name__ == "__main__":
    main()
