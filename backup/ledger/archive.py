"""What an archive holds, as `repo-ls` lists it: whole segments by timeline, and what is wrong with others. Pure.

Facts are those of pgBackRest 2.55.1. A segment is a file `SEGMENT-<SHA-1>` with the suffix of its compression, in a folder
named by its first 16 characters. An empty file, a `.partial` and a file that is still being written are no segments. Of a
segment that is there twice pgBackRest fetches neither: archive-get ends with an error, and so does recovery there.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from backup.ledger import wal
from backup.pgbackrest import Argv, Backup, UnreadableAnswerError

FaultKind = Literal["empty", "duplicate", "partial"]

_STORED: Final = re.compile(r"([0-9A-F]{24})(\.partial)?-([0-9a-f]{40})(?:\.(?:gz|lz4|zst|bz2))?")
_HISTORY: Final = re.compile(r"[0-9A-F]{8}\.history")


@dataclass(frozen=True)
class Fault:
    """Why a segment's file is no segment: it is empty, there are two of it (their checksums), or it is only a part."""

    timeline: int
    number: int
    kind: FaultKind
    checksums: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """Tell whether archive-get fails on it. A part it does not even find."""
        return self.kind != "partial"


@dataclass(frozen=True)
class Archive:
    """The segments of one archive. `whole` maps a timeline to the numbers of its segments; see `wal.segment_number`."""

    segment_bytes: int
    whole: Mapping[int, frozenset[int]]
    faults: tuple[Fault, ...] = ()
    histories: tuple[str, ...] = ()
    blocked: frozenset[tuple[int, int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep what cannot be fetched at hand."""
        object.__setattr__(self, "blocked", frozenset((f.timeline, f.number) for f in self.faults if f.blocks))

    def has(self, timeline: int, number: int) -> bool:
        """Tell whether a whole segment can be fetched."""
        return number in self.whole.get(timeline, ())


def listing(stdout: bytes) -> dict[str, int]:
    """Return the files in the JSON of `repo-ls --recurse`, with their sizes in bytes. Raises UnreadableAnswerError."""
    try:
        entries = json.loads(stdout)
        return {name: int(entry.get("size", 0)) for name, entry in entries.items() if entry.get("type") == "file"}
    except (ValueError, AttributeError, TypeError) as error:
        raise UnreadableAnswerError(f"pgbackrest repo-ls printed no listing: {error}") from error


def list_archive(stanza: str, repo: int, archive_id: str) -> Argv:
    """Return the command that lists everything in an archive (such as "17-1") as JSON."""
    options = (f"--repo={repo}", "--recurse", "--output=json", "--log-level-console=off", "--log-level-stderr=warn")
    return ("pgbackrest", f"--stanza={stanza}", *options, "repo-ls", f"archive/{stanza}/{archive_id}")


def read(files: Mapping[str, int], segment_bytes: int) -> Archive:
    """Turn the files of an archive (path below it, size in bytes) into what they are worth."""
    found: dict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)
    parts = set()
    for path, size in files.items():
        if (stored := _STORED.fullmatch(path.rpartition("/")[2])) is None:
            continue
        name, partial, checksum = stored.groups()
        place = wal.timeline_of(name), wal.segment_number(name, segment_bytes) or 0
        if partial:
            parts.add(place)
        else:
            found[place].append((checksum, size))
    whole: dict[int, set[int]] = defaultdict(set)
    faults = [Fault(*place, "partial") for place in parts - found.keys()]
    for (timeline, number), stored_files in found.items():
        if (fault := _fault(timeline, number, stored_files)) is None:
            whole[timeline].add(number)
        else:
            faults.append(fault)
    histories = sorted(name for name in files if _HISTORY.fullmatch(name))
    frozen = {timeline: frozenset(numbers) for timeline, numbers in sorted(whole.items())}
    return Archive(segment_bytes, frozen, tuple(sorted(faults, key=_place)), tuple(histories))


def _fault(timeline: int, number: int, files: Sequence[tuple[str, int]]) -> Fault | None:
    if len(files) > 1:
        return Fault(timeline, number, "duplicate", tuple(sorted(checksum for checksum, _ in files)))
    return Fault(timeline, number, "empty") if files[0][1] == 0 else None


def _place(fault: Fault) -> tuple[int, int]:
    return fault.timeline, fault.number


def merged(archives: Sequence[Archive]) -> Archive:
    """Return what recovery finds when it asks several archives of one cluster in this order. There is at least one.

    The first that has something under a segment's name decides: recovery stops at a file that it cannot read, also when
    another archive has it whole (`pgbackrest-restore-command`).
    """
    whole: dict[int, set[int]] = defaultdict(set)
    blocked: dict[tuple[int, int], Fault] = {}
    for archive in archives:
        for timeline, numbers in archive.whole.items():
            whole[timeline] |= {number for number in numbers if (timeline, number) not in blocked}
        for fault in archive.faults:
            if fault.blocks and fault.number not in whole[fault.timeline]:
                blocked.setdefault(_place(fault), fault)
    parts = {_place(f): f for archive in archives for f in archive.faults if not f.blocks}
    left = [part for place, part in parts.items() if place not in blocked and place[1] not in whole[place[0]]]
    return Archive(
        archives[0].segment_bytes,
        {timeline: frozenset(numbers) for timeline, numbers in sorted(whole.items()) if numbers},
        tuple(sorted([*blocked.values(), *left], key=_place)),
        tuple(sorted({name for archive in archives for name in archive.histories})),
    )


def segment_bytes_of(backups: Iterable[Backup]) -> int:
    """Return the size of a WAL segment, by the names and positions that the backups were taken at.

    Every backup tells both, and they agree for one size alone, unless all of them lie in the first segment of a log.
    """
    told = [pair for b in backups for pair in ((b.wal_start, b.lsn_start), (b.wal_stop, b.lsn_stop)) if all(pair)]
    fitting = [size for size in wal.SEGMENT_SIZES if told and all(_fits(str(n), str(p), size) for n, p in told)]
    if not fitting or wal.DEFAULT_SEGMENT_BYTES in fitting:
        return wal.DEFAULT_SEGMENT_BYTES
    return fitting[0]


def _fits(name: str, position: str, segment_bytes: int) -> bool:
    lsn = wal.parse_lsn(position)  # of a position between two segments PostgreSQL names the one before it
    in_log = int(name[16:24], 16) < (1 << 32) // segment_bytes
    return in_log and wal.segment_number(name, segment_bytes) in {lsn // segment_bytes, (lsn - 1) // segment_bytes}
