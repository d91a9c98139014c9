"""What Google Cloud Storage tells about a bucket, asked with the repository's own key through google-auth."""

from __future__ import annotations

import json
from typing import Final

from google.auth import compute_engine
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from backup.storage import advice, web
from backup.storage.published import Options
from backup.storage.step import Step

SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_only"
_FIELDS: Final = "versioning,lifecycle,retentionPolicy,softDeletePolicy"
_OK: Final = 200


def ask(options: Options) -> list[Step]:
    """Return identity, versioning, lock and lifecycle as far as the service tells."""
    try:
        who, token = _token(options)
    except (GoogleAuthError, OSError, ValueError, KeyError) as error:
        return [Step(advice.IDENTITY, "skipped", f"no token to ask with ({type(error).__name__})")]
    endpoint = options.endpoint
    url = f"https://{endpoint.host}:{endpoint.port}/storage/v1/b/{options.bucket}?fields={_FIELDS}"
    answer = web.get(url, {"authorization": f"Bearer {token}"}, endpoint)
    identity = Step(advice.IDENTITY, "ok", who)
    if answer.status != _OK:
        names = (advice.VERSIONING, advice.LOCK, advice.LIFECYCLE)
        return [identity, *(advice.not_told(name, answer.status) for name in names)]
    return [identity, *advice.gcs_settings(json.loads(answer.text), options.get("path"))]


def _token(options: Options) -> tuple[str, str]:
    kind = options.get("gcs-key-type", "service")
    if kind == "token":
        return "the holder of a token", options["gcs-key"]
    if kind == "auto":
        machine = compute_engine.Credentials()
        machine.refresh(Request())
        return f"the machine's {machine.service_account_email}", str(machine.token)
    account = service_account.Credentials.from_service_account_file(options["gcs-key"], scopes=[SCOPE])
    account.refresh(Request())
    return str(account.service_account_email), str(account.token)
