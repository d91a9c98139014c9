"""What `--candidate` prints for the backup image to try: the part of a configuration that pgbackrest needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contract import paths
from contract.candidate import Candidate
from contract.supervisor import SupervisorConfig

_NEEDED = (paths.PGBACKREST_CONF, paths.REPO_CONF, paths.SUPERVISOR_JSON, paths.MANIFEST_JSON)


def candidate(files: Mapping[str, str], types: Iterable[str], published: str | None) -> str:
    """Return the rendered files as JSON, secrets included; nothing when no repository is an object store.

    `types` are those of the repositories; `published` is the `supervisor.json` that counts at present, if there is one.
    """
    if all(kind == "posix" for kind in types):
        return ""
    needed = {path: text for path, text in files.items() if path in _NEEDED or path.startswith(f"{paths.KEYS}/")}
    return Candidate(files=needed, in_use=_in_use(published)).model_dump_json()


def _in_use(published: str | None) -> tuple[str, ...]:
    try:
        return tuple(each.location for each in SupervisorConfig.model_validate_json(published or "").repositories)
    except ValueError:  # none, or an earlier version's
        return ()
