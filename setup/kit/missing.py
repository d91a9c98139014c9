"""What a new host needs and no recovery kit can hold, or holds only for a while. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from setup.kit.contents import Kit
from setup.variables import SAS_TOKEN, repository_prefix

_ROLE = "the role of the machine, by which it is reached"
_TEMPORARY = "expires: what is in the kit may be too old by then"


def missing(kit: Kit) -> Iterator[str]:
    """Return, for each repository that needs more than the kit, a line that says what."""
    for repository in kit.repositories:
        for what in _of_repository(kit, repository.key):
            yield f"not in the kit, repository {repository.key}: {what}"


def _of_repository(kit: Kit, key: int) -> Iterator[str]:
    prefix = repository_prefix(key)
    kind = kit.variable(f"{prefix}TYPE") or ""
    key_type = kit.variable(f"{prefix}{kind.upper()}_KEY_TYPE") or ""
    if key_type == "web-id":
        folder = kit.variable("AWS_WEB_IDENTITY_DIRECTORY") or "./config/web-identity"
        yield f"the web identity token in {folder}, which lasts for hours; put a new one there before the restore"
    if key_type == "auto":
        yield _ROLE
    if kind == "s3" and (kit.variable(f"{prefix}S3_TOKEN") or kit.variable("AWS_SESSION_TOKEN")) and not key_type:
        yield f"a session token that lasts; the present one {_TEMPORARY}"
    if kind == "azure" and (key_type == "sas" or kit.variable(SAS_TOKEN)):
        yield f"a shared access signature that lasts; the present one {_TEMPORARY}"
    if kind == "gcs" and key_type == "token":
        yield f"an access token that lasts; the present one {_TEMPORARY}"
