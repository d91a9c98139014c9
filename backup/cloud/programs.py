"""What the programs `aws` and `az` are told about a repository: through their environment, never on the command line. Pure.

Names of the variables: the documentation of AWS CLI 2.23 and of Azure CLI 2.74, which Debian trixie has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backup.storage.published import Options

CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
_MICROSOFT: Final = "blob.core.windows.net"


@dataclass(frozen=True)
class Told:
    """Variables to set, or with None to take away, and options to add, which hold no secret."""

    variables: Mapping[str, str | None]
    options: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Told({', '.join(self.variables)})"


def aws(repository: Options) -> Told:
    """Return what `aws` is told. With an address of its own it puts the bucket into the path, which works everywhere."""
    key_type = repository.get("s3-key-type")
    keys = key_type == "shared"
    variables: dict[str, str | None] = {
        # Its own caches; the file system is read-only.
        "HOME": "/tmp",  # noqa: S108
        "AWS_PAGER": "",
        "AWS_DEFAULT_REGION": repository.get("s3-region"),
        "AWS_ENDPOINT_URL_S3": _address(repository, repository.get("s3-endpoint")),
        "AWS_CA_BUNDLE": repository.get("storage-ca-file") or CERTIFICATES,
        "AWS_ACCESS_KEY_ID": repository.get("s3-key") if keys else None,
        "AWS_SECRET_ACCESS_KEY": repository.get("s3-key-secret") if keys else None,
        "AWS_SESSION_TOKEN": (repository.get("s3-token") or None) if keys else None,
        # Compatible services do not know the checksums that it adds otherwise.
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }
    if key_type != "web-id":  # it takes a token without a role for a mistake
        variables |= {"AWS_ROLE_ARN": None, "AWS_WEB_IDENTITY_TOKEN_FILE": None}
    return Told(variables, ("--no-verify-ssl",) if _is_unverified(repository) else ())


def azure(repository: Options) -> Told:
    """Return what `az` is told: the account and its key in Microsoft's own cloud, a connection string everywhere else."""
    account, secret = repository.get("azure-account"), repository.get("azure-key")
    is_token = repository.get("azure-key-type") == "sas"
    variables: dict[str, str | None] = {
        "HOME": "/tmp",  # noqa: S108
        "AZURE_CONFIG_DIR": "/tmp/azure",  # noqa: S108
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_CORE_NO_COLOR": "true",
        "REQUESTS_CA_BUNDLE": repository.get("storage-ca-file") or CERTIFICATES,
    }
    if _is_unverified(repository):
        variables["AZURE_CLI_DISABLE_CONNECTION_VERIFICATION"] = "1"
    endpoint = repository.get("azure-endpoint")
    if endpoint == _MICROSOFT and not repository.get("storage-host"):
        name = "AZURE_STORAGE_SAS_TOKEN" if is_token else "AZURE_STORAGE_KEY"
        return Told(variables | {"AZURE_STORAGE_ACCOUNT": account, name: secret})
    in_path = repository.get("azure-uri-style") == "path"
    address = _address(repository, endpoint if in_path else f"{account}.{endpoint}") + (f"/{account}" if in_path else "")
    credential = f"SharedAccessSignature={secret}" if is_token else f"AccountKey={secret}"
    parts = ("DefaultEndpointsProtocol=https", f"BlobEndpoint={address}", f"AccountName={account}", credential)
    return Told(variables | {"AZURE_STORAGE_CONNECTION_STRING": ";".join(parts)})


def _address(repository: Options, host: str) -> str:
    port = repository.get("storage-port")
    return f"https://{repository.get('storage-host') or host}" + (f":{port}" if port else "")


def _is_unverified(repository: Options) -> bool:
    return repository.get("storage-verify-tls") == "n"
