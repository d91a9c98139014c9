"""The stanza in every repository that can be written to now: one that is lost or out of reach stops nothing for the others.

`stanza-create` takes all repositories or none, so it is given a configuration without those that are left out. The
supervisor looks at them again; when one answers and has no stanza, this is asked for once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from backup import logs, pgbackrest, process
from backup.deployment import Deployment
from backup.keeping import losses, subset
from backup.keeping.inventory import read_info
from backup.ownership import identity, protection, repository_key
from backup.storage.trouble import Trouble
from backup.taking.attempts import GRACE_SECONDS, run_patiently
from backup.taking.outcome import Outcome, judged
from contract import events
from contract.errors import ProductError
from contract.exits import Exit

SHORTEST_DEADLINE_SECONDS: Final = 6 * 3600.0


def create_stanza(deployment: Deployment, on_line: Callable[[str], None]) -> Outcome:
    """Create the stanza in every repository; does nothing where it is there and valid. Never upgrades one.

    Writes nothing unless the configured passphrase opens each repository and they are of the running cluster, and
    afterwards remembers the passphrases as used. A repository in trouble is told and left out; it fails only when none is
    left. What the repositories held before is noted first: one that has been emptied is about to look like a new one.
    """
    troubles = repository_key.troubles(deployment)
    keys = [repository.key for repository in deployment.config.repositories if repository.key not in troubles]
    if not keys:
        message = "; ".join(each.sentence for each in troubles.values())
        return Outcome("failed", Exit.REPOSITORY, message, next((each.hint for each in troubles.values()), ""))
    if (refusal := _identity_refusal(deployment)) is not None:
        return refusal
    _tell(troubles)
    with subset.included(deployment, keys) as include:
        finished = run_patiently(
            pgbackrest.stanza_create(deployment.config.stanza, include),
            on_line,
            process.Limits(deployment.stop, SHORTEST_DEADLINE_SECONDS, GRACE_SECONDS),
        )
    outcome = judged(finished, "stanza-create")
    return _remembered(deployment, outcome, keys) if outcome.state == "succeeded" else outcome


def _identity_refusal(deployment: Deployment) -> Outcome | None:
    """Return the failure of a job that must not begin: another cluster runs, or that cannot be told. Keeps the alarm."""
    try:
        info = read_info(deployment)
        losses.remember(deployment, info)
        objection = identity.guard(deployment, deployment.postgres.server(), info)
    except ProductError as error:
        return Outcome("failed", error.exit_code, error.message, error.hint)
    return None if objection is None else Outcome("failed", Exit.ANOTHER_CLUSTER, objection.message, objection.hint)


def _tell(troubles: Mapping[int, Trouble]) -> None:
    for repo, each in troubles.items():
        message = f"{each.sentence}; the other repositories go on without it"
        logs.logger().error(events.REPOSITORY_REFUSED, repo=repo, message=message, hint=each.hint)


def _remembered(deployment: Deployment, outcome: Outcome, keys: list[int]) -> Outcome:
    try:
        protection.remember(deployment, keys)
    except OSError as error:
        message = f"the passphrases in use cannot be written down: {error.filename}: {error.strerror}"
        return Outcome("failed", Exit.REPOSITORY, message, "check the free space of the volume backup-state")
    return outcome
