"""One restore for the record: begun, ended, told; and what was cut off before it is settled first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from zoneinfo import ZoneInfo

import click

from backup.deployment import Deployment
from backup.notice import Fact, Notice
from backup.ownership import cluster, identity
from backup.pgbackrest import Info
from backup.postgres import Server
from backup.restore import transaction
from backup.restore.in_place import Restored
from backup.restore.scene import Scene
from backup.restore.swap import journal_file
from backup.restore.swap.journal import Swap
from backup.restore.swap.switch import Switch
from backup.showing import report
from backup.state.history import Beginning, Ending, State
from backup.taking import jobs
from contract import events
from contract.errors import ProductError
from contract.exits import Exit

UNDO: Final = "undo it with `make restore-undo`"
NEXT: Final = "Next: a backup of the restored database is taken by the supervisor now; see `make status`"

Settled = Literal["nothing", "finished", "reverted"]


@dataclass(frozen=True)
class Doing:
    """What the record says of a restore: its verb, the repository and the backup, and what it brings back, in words.

    `info` is what the repositories were seen to hold, if they were asked: one that is gone is not waited for again.
    """

    verb: str
    repo: int | None
    label: str | None
    restored_to: str
    can_be_undone: bool = True
    info: Info | None = None


def run_recorded(scene: Scene, doing: Doing, act: Callable[[], Restored]) -> Restored:
    """Do it between two entries of the record, tell both, and print the last lines. Raises what `act` raises."""
    deployment = scene.deployment
    history = deployment.history
    history.mark_interrupted("restore", deployment.now())
    beginning = Beginning("restore", doing.verb, doing.repo, "manual", "asked for by the operator")
    run, began = history.begin(beginning, deployment.now()), deployment.now()
    backup = f", backup {doing.label}" if doing.label else ""
    deployment.teller.tell(Notice(events.RESTORE_STARTED, "warning", f"a restore begins ({doing.verb}{backup})"))
    state: State = "failed"
    message, code, hint = "ended by an unforeseen error", int(Exit.UNEXPECTED), "see /var/log/pgbackrest/restore.log"
    downtime: float | None = None
    try:
        restored = act()
        state, message, code = "succeeded", _summary(restored, deployment.zone), int(Exit.OK)
        hint = UNDO if doing.can_be_undone else ""
        downtime = round(restored.downtime_seconds, 1)
    except ProductError as error:
        message, code, hint = error.message, error.exit_code, error.hint
        raise
    finally:
        ending = Ending(state, code, doing.label, message, restored_to=doing.restored_to, downtime_seconds=downtime)
        history.end(run, ending, deployment.now())
        facts: dict[str, Fact] = {"verb": doing.verb, "label": doing.label, "restored_to": doing.restored_to}
        facts |= {"seconds": round((deployment.now() - began).total_seconds(), 1), "downtime_seconds": downtime}
        deployment.teller.tell(_notice(state, message, hint, facts))
    _last_lines(deployment, doing, restored, message)
    return restored


def _last_lines(deployment: Deployment, doing: Doing, restored: Restored, message: str) -> None:
    click.echo(message)
    note_identity(deployment, restored.server, doing.info)
    for kept in restored.kept:
        click.echo(f"WAL that the archive never saw is kept in {kept}")
    if doing.can_be_undone:
        days = deployment.config.restore_keep_previous_days
        click.echo(f"The database that was replaced is kept for {days} days: {UNDO}")
    click.echo(NEXT)


def _notice(state: State, message: str, hint: str, facts: dict[str, Fact]) -> Notice:
    if state == "succeeded":
        return Notice(events.RESTORE_SUCCEEDED, "warning", message, hint, facts=facts)
    return Notice(events.RESTORE_FAILED, "critical", f"restore: {message}", hint, facts=facts)


def note_identity(deployment: Deployment, server: Server, info: Info | None = None) -> None:
    """Tell the guard over the backups that this state is wanted, however small it is; a failure is told, no more."""
    try:
        identity.restored(deployment, server)
        objection = identity.guard(deployment, server, info or jobs.read_info(deployment))
    except ProductError as error:
        click.echo(f"the restored database could not be compared with the backups: {error.message}")
        return
    if objection is not None:
        click.echo(f"{objection.message}\nHINT: {cluster.ADOPT}")


def _summary(restored: Restored, zone: ZoneInfo) -> str:
    last = f", last transaction {restored.last_transaction}" if restored.last_transaction else ""
    opened = report.local(restored.server.now, zone)
    return (
        f"RESTORED: the database is open since {opened} on timeline {restored.server.timeline}{last}; "
        f"downtime {restored.downtime_seconds:.1f} s"
    )


# --- what was cut off -------------------------------------------------------------------------------------------------


def settle_cut_off(scene: Scene, request: str, ask: Callable[[str], None]) -> Settled:
    """Finish or revert the restore that was cut off, if one was. Raises what `Switch.resume` raises."""
    swap = journal_file.load(scene.deployment.volumes.database).swap
    if swap is None:
        return "nothing"
    ask(f"Restore {swap.id} ({swap.verb}) was cut off. Go on from there?")
    switch = Switch(scene)

    def act() -> Restored:
        same = swap.request == request
        done = switch.resume(same_request=same, gives_up=not same and "undo" in (request, swap.request))
        if done is None or done[1] is None:
            raise _RevertedError(swap)
        return transaction.restored(done[1])

    doing = Doing(swap.verb, swap.repositories[0] if swap.repositories else None, swap.label, swap.restored_to)
    try:
        run_recorded(scene, doing, act)
    except _RevertedError as reverted:
        scene.say(reverted.message)
        return "reverted"
    return "finished"


class _RevertedError(ProductError):
    """For the record: what was cut off has not brought anything back."""

    hint = "run the restore again, if it is still wanted"
    exit_code = Exit.RESTORE_UNDONE

    def __init__(self, swap: Swap) -> None:
        super().__init__(
            f"restore {swap.id} ({swap.verb}), which was cut off, is reverted; the old database is in its place"
        )
