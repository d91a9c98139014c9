"""What Amazon S3 and its likes tell about a bucket, asked with the repository's own credentials through botocore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from backup.storage import advice
from backup.storage.published import Options
from backup.storage.step import Step

TIMEOUT_SECONDS: Final = 5.0
_NONE: Final = frozenset({"NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError"})
_OK: Final = 200
_TLS_PORT: Final = 443
_AMAZON: Final = ".amazonaws.com"


def ask(options: Options) -> list[Step]:
    """Return identity, versioning, lock and lifecycle as far as the service tells."""
    try:
        client = _client("s3", options)
    except (BotoCoreError, ValueError) as error:
        return [Step(advice.IDENTITY, "skipped", f"there are no credentials to ask with ({type(error).__name__})")]
    bucket = options.bucket
    rules_status, rules = _asked(lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket))
    found = advice.s3_rules(rules, options.get("path"))
    steps = [_identity(options)]
    status, answer = _asked(lambda: client.get_bucket_versioning(Bucket=bucket))
    versions = "on" if answer.get("Status") == "Enabled" else "off"
    steps.append(advice.versioning(versions, found) if status == _OK else advice.not_told(advice.VERSIONING, status))
    status, answer = _asked(lambda: client.get_object_lock_configuration(Bucket=bucket))
    steps.append(advice.lock(_lock(answer)) if status == _OK else advice.not_told(advice.LOCK, status))
    told = rules_status == _OK
    return [*steps, advice.lifecycle(found) if told else advice.not_told(advice.LIFECYCLE, rules_status)]


def _client(service: str, options: Options) -> Any:
    endpoint = options.endpoint
    shared = options.get("s3-key-type", "shared") == "shared"
    host = options.get("s3-endpoint") if options.get("s3-uri-style") == "host" else endpoint.host
    port = "" if endpoint.port == _TLS_PORT else f":{endpoint.port}"
    style = "virtual" if options.get("s3-uri-style") == "host" else "path"
    return botocore.session.Session().create_client(
        service,
        region_name=options.get("s3-region") or None,
        endpoint_url=f"https://{host}{port}" if service == "s3" else None,
        aws_access_key_id=options.get("s3-key") or None if shared else None,
        aws_secret_access_key=options.get("s3-key-secret") or None if shared else None,
        aws_session_token=options.get("s3-token") or None if shared else None,
        verify=(endpoint.authorities or True) if endpoint.verified else False,
        config=Config(
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": style},
        ),
    )


def _asked(question: Callable[[], dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """Return the status of an answer and the answer; 200 and nothing where there is nothing to tell."""
    try:
        return _OK, question()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _NONE:
            return _OK, {}
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)), {}
    except BotoCoreError:
        return 0, {}


def _identity(options: Options) -> Step:
    if options.endpoint.host.endswith(_AMAZON):
        status, answer = _asked(lambda: _client("sts", options).get_caller_identity())
        return (
            Step(advice.IDENTITY, "ok", str(answer["Arn"])) if "Arn" in answer else advice.not_told(advice.IDENTITY, status)
        )
    key = options.get("s3-key")
    return Step(advice.IDENTITY, "ok", f"access key {key[:4]}…{key[-4:]}" if key else "that of this machine")


def _lock(answer: dict[str, Any]) -> str:
    found = answer.get("ObjectLockConfiguration") or {}
    if found.get("ObjectLockEnabled") != "Enabled":
        return ""
    kept = (found.get("Rule") or {}).get("DefaultRetention") or {}
    if not kept:
        return ""  # it locks nothing unless a writer asks for it, which pgbackrest does not
    length = f"{kept['Days']} days" if kept.get("Days") else f"{kept.get('Years', '?')} years"
    return f"new files cannot be deleted for {length} ({kept.get('Mode', '?').lower()})"
