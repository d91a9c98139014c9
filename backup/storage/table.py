"""How the steps of a storage check look on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from backup.showing.report import foreign
from backup.storage.step import Examination, Step

_MARKS = {
    "ok": "[green]ok[/green]",
    "warning": "[yellow]warning[/yellow]",
    "failed": "[red]FAILED[/red]",
    "skipped": "[dim]skipped[/dim]",
}


def print_examination(out: Console, found: Examination) -> None:
    """Print one repository: a line for every step, and below it the hints."""
    table = Table(
        title=f"Repository {found.key}: {foreign(found.location)}", title_justify="left", header_style="bold", box=None
    )
    table.add_column("step", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("what was seen", overflow="fold")
    for step in found.steps:
        table.add_row(step.name, _MARKS[step.state], _time(step), foreign(step.seen))
    out.print(table)
    for step in found.steps:
        if step.hint:
            out.print(f"HINT: {step.name}: {foreign(step.hint)}")
    out.print()


def in_one_line(found: Examination) -> str:
    """Return what is said of a repository that passed, and what is worth a warning."""
    seconds = sum(step.seconds or 0.0 for step in found.steps)
    lines = [f"repository {found.key} ({found.location}): reached, written to, read back and cleared in {seconds:.1f} s"]
    lines += [f"WARNING: {step.name}: {step.seen}\nHINT: {step.hint}" for step in found.steps if step.state == "warning"]
    return "\n".join(lines)


def _time(step: Step) -> str:
    if step.seconds is None:
        return ""
    return f"{step.seconds:.2f} s" if step.seconds >= 1 else f"{step.seconds * 1000:.0f} ms"
