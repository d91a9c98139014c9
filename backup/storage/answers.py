"""What the services' error codes mean: one sentence and one hint each. Pure, a table.

Sources: the lists of error codes of Amazon S3, of Azure Blob Storage and of Google Cloud Storage's JSON interface.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

CLOCK_HINT: Final = "set this host's clock right and keep it so: `timedatectl set-ntp true`"


@dataclass(frozen=True)
class Answer:
    """A sentence ({verb}: what was tried), a hint ({variables}: those of `fields`), whether it may pass by itself."""

    sentence: str
    hint: str
    fields: tuple[str, ...] = ()
    may_pass: bool = False


BUSY: Final = Answer("the store has a temporary failure", "nothing to do at first: it is tried again", may_pass=True)
ELSEWHERE: Final = Answer(
    "the bucket is not in this region", "correct {variables} in .env, then `make deploy`", ("s3_region", "s3_endpoint")
)
_CORRECT: Final = "correct {variables} in .env, then `make deploy`"
_RIGHTS: Final = "give this key the rights that the storage page of the guide lists, or correct {variables} in .env"
_CLOCK: Final = Answer("this host's clock is too far from the store's", CLOCK_HINT)
_NO_BUCKET: Final = "create it, or correct {variables} in .env, then `make deploy`"

MISSING: Final = {
    "s3": Answer("there is no such bucket", _NO_BUCKET, ("s3_bucket",)),
    "azure": Answer("there is no such container", _NO_BUCKET, ("azure_container",)),
    "gcs": Answer("there is no such bucket", _NO_BUCKET, ("gcs_bucket",)),
}
"""What 404 means by itself: a file that is missing is no failure to pgbackrest, and has no such answer."""

_S3: Final[dict[str, Answer]] = {
    "InvalidAccessKeyId": Answer("the store does not know the access key", _CORRECT, ("s3_key",)),
    "SignatureDoesNotMatch": Answer("the secret key does not belong to the access key", _CORRECT, ("s3_key_secret",)),
    "ExpiredToken": Answer(
        "the session token has expired",
        "set new temporary keys: {variables} in .env",
        ("s3_key", "s3_key_secret", "s3_token"),
    ),
    "InvalidToken": Answer("the session token is not valid", _CORRECT, ("s3_token",)),
    "NoSuchBucket": MISSING["s3"],
    "AccessDenied": Answer("the access key is not allowed to {verb} there", _RIGHTS, ("s3_key",)),
    "AllAccessDisabled": Answer("all access to the bucket is disabled", "ask the provider of the store"),
    "AccountProblem": Answer("there is a problem with the store's account", "ask the provider of the store"),
    "RequestTimeTooSkewed": _CLOCK,
    "AuthorizationHeaderMalformed": ELSEWHERE,
    "PermanentRedirect": ELSEWHERE,
    "TemporaryRedirect": ELSEWHERE,
    "InvalidObjectState": Answer(
        "what is needed lies in an archive tier and cannot be read from there",
        "restore the objects in the bucket first, and remove the lifecycle rule that moves them",
    ),
    "QuotaExceeded": Answer(
        "the store's quota is used up", "raise it, or keep fewer backups: BACKUP_RETENTION_FULL in .env"
    ),
    "SlowDown": BUSY,
    "ServiceUnavailable": BUSY,
    "InternalError": BUSY,
    "RequestTimeout": BUSY,
}

_AZURE: Final[dict[str, Answer]] = {
    "AuthenticationFailed": Answer("the store refuses the key of the account", _CORRECT, ("azure_account", "azure_key")),
    "InvalidAuthenticationInfo": Answer("the store cannot read the key", _CORRECT, ("azure_key",)),
    "ContainerNotFound": MISSING["azure"],
    "ContainerBeingDeleted": Answer("the container is being deleted", _NO_BUCKET, ("azure_container",)),
    "ContainerDisabled": Answer("the container is disabled", "ask the administrator of the storage account"),
    "AccountIsDisabled": Answer("the storage account is disabled", "ask the administrator of the storage account"),
    "AuthorizationPermissionMismatch": Answer("the key or token is not allowed to {verb} there", _RIGHTS, ("azure_key",)),
    "AuthorizationResourceTypeMismatch": Answer("the token is not made for containers and blobs", _RIGHTS, ("azure_key",)),
    "AuthorizationServiceMismatch": Answer("the token is not made for blobs", _RIGHTS, ("azure_key",)),
    "AuthorizationSourceIPMismatch": Answer("the token is not made for this host's address", _RIGHTS, ("azure_key",)),
    "AuthorizationFailure": Answer(
        "the storage account does not let this host in, or not with this key",
        "check the account's firewall, and {variables} in .env",
        ("azure_key",),
    ),
    "KeyBasedAuthenticationNotPermitted": Answer(
        "the storage account does not allow its key to be used", "allow it, or set {variables} to a token", ("azure_key",)
    ),
    "BlobArchived": Answer(
        "what is needed lies in the archive tier and cannot be read from there",
        "bring the blobs back to the hot or cool tier, and remove the rule that moves them",
    ),
    "ServerBusy": BUSY,
    "InternalError": BUSY,
    "OperationTimedOut": BUSY,
}

_NEW_SIGNATURE: Final = "make a new one, and set {variables} in .env to it, then `make deploy`"
_AZURE_DETAILS: Final = (
    ("expiry time", Answer("the shared access signature has expired", _NEW_SIGNATURE, ("azure_sas",))),
    ("Signature not valid in the specified time frame", Answer(
        "the shared access signature has expired or is not valid yet", _NEW_SIGNATURE, ("azure_sas",)
    )),
    ("signature did not match", Answer("the shared access signature is not right", _CORRECT, ("azure_sas",))),
    ("Date header", _CLOCK),
)  # fmt: skip

_GCS_KEY: Final = ("gcs_key",)
_WORDS: Final = (
    ("Token must be a short-lived token", _CLOCK),
    ("Invalid JWT Signature", Answer("Google does not know the service account's key any more", _CORRECT, _GCS_KEY)),
    ("account not found", Answer("Google knows no such service account", _CORRECT, _GCS_KEY)),
    ("invalid_grant", Answer("Google does not accept the service account's key", _CORRECT, _GCS_KEY)),
    ("The specified bucket does not exist.", MISSING["gcs"]),
    ('"reason":"authError"', Answer("the store does not accept the key", _CORRECT, _GCS_KEY)),
    ('"reason":"forbidden"', Answer("the service account is not allowed to {verb} there", _RIGHTS, _GCS_KEY)),
    ('"reason":"accountDisabled"', Answer("the project's account is disabled", "see its billing in Google's console")),
    ('"reason":"rateLimitExceeded"', BUSY),
    ('"reason":"backendError"', BUSY),
)
_BLANKS: Final = re.compile(r'"\s*:\s*"')
_REGION: Final = re.compile(r"expecting '([a-z0-9-]+)'|<Region>([a-z0-9-]+)</Region>")


def by_code(code: str, detail: str, service: str) -> Answer | None:
    """Return what the code of an XML answer means; Azure says more in the `detail`."""
    if service == "azure":
        found = next((answer for words, answer in _AZURE_DETAILS if words.lower() in detail.lower()), None)
        return found or _AZURE.get(code) if code == "AuthenticationFailed" else _AZURE.get(code)
    return _S3.get(code) or (None if service == "s3" else _AZURE.get(code))


def by_words(text: str) -> Answer | None:
    """Return what the words of a JSON answer mean, which has no code of its own."""
    if "{" not in text:
        return None
    compact = _BLANKS.sub('":"', text)
    return next((answer for words, answer in _WORDS if words in compact), None)


def expected_region(text: str) -> str | None:
    """Return the region that the store would have liked better, if it names one."""
    match = _REGION.search(text)
    return (match[1] or match[2]) if match else None
