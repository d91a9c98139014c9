"""The record of runs as `history` shows it: a table, trends in sentences, or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from backup.deployment import Deployment
from backup.emergency.gap import Gap
from backup.showing import trend
from backup.showing.report import foreign, local
from backup.showing.trend import Change, Measure, Trend
from backup.state.history import Run
from backup.units import human_bytes, human_duration
from backup.watch.samples import Samples

WAL_RECENT: Final = timedelta(days=7)
WAL_BEFORE: Final = timedelta(days=30)

_LEVEL_PERCENT: Final = 0.5
"""What rounds to 0 % is "as before"."""

_MORE_OR_LESS: Final[dict[Measure, tuple[str, str, str]]] = {
    "seconds": ("take", "longer", "shorter"),
    "database_bytes": ("database", "larger", "smaller"),
    "copied_bytes": ("copied", "more", "less"),
    "stored_bytes": ("stored", "more", "less"),
    "ratio": ("compression ratio", "higher", "lower"),
    "bytes_per_second": ("transfer rate", "higher", "lower"),
}


@dataclass(frozen=True)
class WalTrend:
    """The mean rate of WAL in bytes a second, of the last week and of the month before it."""

    recent: float
    before: float

    @property
    def percent(self) -> float | None:
        """How much more it is than before."""
        return (self.recent / self.before - 1) * 100 if self.before else None


# --- asking -----------------------------------------------------------------------------------------------------------


def trends(deployment: Deployment, kind: str | None = None) -> tuple[Trend, ...]:
    """Return the trends of every type in every repository, or of one type. Raises StoreError."""
    found = (
        trend.trend(deployment.history.recent("backup", what=what, repo=repository.key, state="succeeded", limit=limit))
        for limit in [trend.RECENT + trend.BEFORE]
        for repository in deployment.config.repositories
        for what in ("full", "diff", "incr")
        if kind in (None, what)
    )
    return tuple(each for each in found if each is not None)


def wal_trend(deployment: Deployment) -> WalTrend | None:
    """Return how the rate of WAL develops; None without samples on both sides. Raises StoreError."""
    samples, now = Samples(deployment.store), deployment.now()
    boundary = now - WAL_RECENT
    recent, before = _mean(samples, boundary, now), _mean(samples, boundary - WAL_BEFORE, boundary)
    return None if recent is None or before is None else WalTrend(recent, before)


def _mean(samples: Samples, since: datetime, until: datetime) -> float | None:
    hours = [(hour.wal_rate, hour.looks) for hour in samples.hours(since, until) if hour.wal_rate is not None]
    looks = sum(looks for _, looks in hours)
    return sum(rate * looks for rate, looks in hours) / looks if looks else None


# --- showing ----------------------------------------------------------------------------------------------------------


def runs_table(runs: tuple[Run, ...], zone: ZoneInfo) -> Table:
    """Return the latest runs, newest first."""
    table = Table(title="Runs", title_justify="left", header_style="bold")
    for heading in ("started", "what", "why"):
        table.add_column(heading)
    for heading in ("took", "copied", "stored", "ratio", "rate"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("result")
    for run in runs:
        took = human_duration(run.finished - run.started) if run.finished else ""
        result = f"{run.state}: {run.message}" if run.message else run.state
        measures = (_size(run.copied_bytes), _size(run.stored_bytes), _ratio(trend.ratio(run)), _rate(run))
        why = foreign(run.reason)
        table.add_row(local(run.started, zone), f"{run.what} {run.kind}", why, took, *measures, foreign(result))
    return table


def _size(count: float | None) -> str:
    return "" if count is None else human_bytes(round(count))


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f} : 1"


def _rate(run: Run) -> str:
    rate = trend.bytes_per_second(run)
    return "" if rate is None else f"{_size(rate)}/s"


def print_trends(out: Console, found: Sequence[Trend], wal: WalTrend | None, zone: ZoneInfo) -> None:
    """Print each trend as a few sentences."""
    for each in found:
        against = f"the last {each.recent_runs} against the {each.before_runs} before them, since {local(each.since, zone)}"
        out.print(f"[bold]{each.type} backups in repository {each.repo}[/bold] ({against})")
        for change in each.changes:
            out.print(f"    {_sentence(change)}")
    if wal is not None:
        out.print("[bold]WAL[/bold] (the last week against the month before)")
        out.print(f"    {_size(wal.recent)}/s, {_compared(wal.percent, 'more', 'less')}")
    if not found and wal is None:
        out.print(f"No trend yet: it takes {trend.RECENT + trend.FEWEST} successful runs of a type.")


def _sentence(change: Change) -> str:
    words, more, less = _MORE_OR_LESS[change.measure]
    value = {
        "seconds": human_duration(timedelta(seconds=change.recent)),
        "ratio": _ratio(change.recent),
        "bytes_per_second": f"{_size(change.recent)}/s",
    }.get(change.measure, _size(change.recent))
    return f"{words} {value}, {_compared(change.percent, more, less)}"


def _compared(percent: float | None, more: str, less: str) -> str:
    if percent is None:
        return "nothing before"
    if abs(percent) < _LEVEL_PERCENT:
        return "as before"
    return f"{abs(percent):.0f} % {more if percent > 0 else less} than before"


# --- as JSON ----------------------------------------------------------------------------------------------------------


def as_json(runs: tuple[Run, ...], found: Sequence[Trend] | None = None, wal: WalTrend | None = None) -> dict[str, Any]:
    """Return runs and trends as values that JSON can hold; the trends only when they were asked for."""
    answer: dict[str, Any] = {"schema_version": 1, "runs": [_run(run) for run in runs]}
    if found is not None:
        answer["trends"] = list(_trends(found))
        answer["wal_trend"] = wal and {"recent": wal.recent, "before": wal.before, "percent": wal.percent}
    return answer


def gaps_as_json(gaps: Sequence[Gap]) -> list[dict[str, Any]]:
    """Return the intervals without point-in-time recovery as values that JSON can hold."""
    return [
        {"since": gap.since.isoformat(), "until": gap.until and gap.until.isoformat(), "backup": gap.label} for gap in gaps
    ]


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "kind": run.kind,
        "type": run.what,
        "requested": run.requested or run.what,
        "repository": run.repo,
        "origin": run.origin,
        "reason": run.reason,
        "started": run.started.isoformat(),
        "finished": run.finished and run.finished.isoformat(),
        "seconds": trend.seconds(run),
        "state": run.state,
        "exit_code": run.exit_code,
        "label": run.label,
        "message": run.message,
        "attempts": run.attempts,
        "database_bytes": run.database_bytes,
        "copied_bytes": run.copied_bytes,
        "stored_bytes": run.stored_bytes,
        "ratio": trend.ratio(run),
        "bytes_per_second": trend.bytes_per_second(run),
        "tail": run.tail.splitlines(),
    }


def _trends(found: Sequence[Trend]) -> Iterator[dict[str, Any]]:
    for each in found:
        yield {
            "type": each.type,
            "repository": each.repo,
            "recent_runs": each.recent_runs,
            "before_runs": each.before_runs,
            "since": each.since.isoformat(),
            "measures": {
                change.measure: {"recent": change.recent, "before": change.before, "percent": change.percent}
                for change in each.changes
            },
        }
