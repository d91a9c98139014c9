"""What a new host needs and no recovery kit can hold, or holds only for a while. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from setup.kit.contents import Kit
from setup.variables import SAS_TOKEN, repository_prefix

_ROLE = "the role of the machine, by which it is reached"
_TEMPORARY = "expires: what is in the kit may be too old by then"


def missing(kit: Kit) -> Iterator[str]:
    """Return, for each repository that needs more than the kit, a line that says what."""
    kinds: set[str] = set()
    for repository in kit.repositories:
        kind = kit.variable(f"{repository_prefix(repository.key)}TYPE") or ""
        # The short names serve the first of a kind.
        short = {} if kind in kinds else {"s3": kit.variable("AWS_SESSION_TOKEN"), "azure": kit.variable(SAS_TOKEN)}
        kinds.add(kind)
        for what in _of_repository(kit, repository.key, kind, short.get(kind)):
            yield f"not in the kit, repository {repository.key}: {what}"


def _of_repository(kit: Kit, key: int, kind: str, token: str | None) -> Iterator[str]:
    prefix = repository_prefix(key)
    key_type = kit.variable(f"{prefix}{kind.upper()}_KEY_TYPE") or ""
    if key_type == "web-id":
        folder = kit.variable("AWS_WEB_IDENTITY_DIRECTORY") or "./config/web-identity"
        yield f"the web identity token in {folder}, which lasts for hours; put a new one there before the restore"
    if key_type == "auto":
        yield _ROLE
    if kind == "s3" and key_type in ("", "shared") and (kit.variable(f"{prefix}S3_TOKEN") or token):
        yield f"a session token that lasts; the present one {_TEMPORARY}"
    if kind == "azure" and (key_type == "sas" or token):
        yield f"a shared access signature that lasts; the present one {_TEMPORARY}"
    if kind == "gcs" and key_type == "token":
        yield f"an access token that lasts; the present one {_TEMPORARY}"
