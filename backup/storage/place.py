"""Which repository is meant and what an operator calls its settings. Pure, and without a library: newcluster uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SHORT_NAMES: Final = {
    "s3_bucket": "AWS_S3_BUCKET",
    "s3_region": "AWS_REGION",
    "s3_endpoint": "AWS_S3_ENDPOINT",
    "s3_key": "AWS_ACCESS_KEY_ID",
    "s3_key_secret": "AWS_SECRET_ACCESS_KEY",
    "s3_token": "AWS_SESSION_TOKEN",
    "azure_account": "AZURE_STORAGE_ACCOUNT",
    "azure_container": "AZURE_STORAGE_CONTAINER",
    "azure_key": "AZURE_STORAGE_KEY",
    "azure_sas": "AZURE_STORAGE_SAS_TOKEN",
    "gcs_bucket": "GCS_BUCKET",
    "gcs_key": "GCS_KEY",
}
"""The guide's names, which serve the first repository of a kind; the long names serve every one."""

_SAME: Final = {"azure_sas": "azure_key"}
ENDPOINTS: Final = {"s3": "s3_endpoint", "azure": "azure_endpoint", "gcs": "gcs_endpoint"}
SECRETS: Final = {"s3": ("s3_key", "s3_key_secret"), "azure": ("azure_account", "azure_key"), "gcs": ("gcs_key",)}


@dataclass(frozen=True)
class Place:
    """A repository: its number, its type, and where it lies, for people. Without a number it is not known which one."""

    key: int | None = None
    type: str = ""
    location: str = ""

    def of_type(self, service: str) -> Place:
        """Return the same place with this type, if it had none."""
        return self if self.type or not service else Place(self.key, service, self.location)

    def variable(self, field: str) -> str:
        """Return the name or names in `.env` of a setting, such as `s3_key`."""
        own = f"PGBACKREST_REPO{self.key or 'n'}_{_SAME.get(field, field).upper()}"
        short = _SHORT_NAMES.get(field)
        return f"{short} (or {own})" if short else own

    def told(self, sentence: str) -> str:
        """Return the sentence with the repository named before it."""
        if self.key is None:
            return sentence
        return (
            f"repository {self.key} ({self.location}): {sentence}" if self.location else f"repository {self.key}: {sentence}"
        )
