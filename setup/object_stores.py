"""From the variables of a repository to an S3, Azure or GCS repository, or to everything that is wrong with them.

Pure, except that PGBACKREST_REPOn_GCS_KEY may name a file below /run/secrets. Each function returns None after a problem.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from setup import environment, gcs_key, storage_values, values
from setup.given import Given
from setup.places import Mounts
from setup.policy import Connection, Policy, revealed
from setup.presets import endpoint_for, preset
from setup.repositories import AZURE_ENDPOINT, GCS_ENDPOINT, S3, Azure, Gcs
from setup.values import Rejected

DEFAULT_PREFIX = "/pgbackrest"
SOON = timedelta(days=30)
"""A token that expires sooner is worth a warning."""

_LATER = "make a new shared access signature for the container, with a later expiry"

_SAS_WAY = "AZURE_STORAGE_SAS_TOKEN for a shared access signature"
_VERIFY_HINT = "name the storage's certificate authority in {name} instead"


def s3(given: Given, policy: Policy, *, has_role_arn: bool) -> S3 | None:
    """Return an S3 repository; `has_role_arn`: AWS_ROLE_ARN is set, which a web identity needs."""
    variables = given.variables
    chosen = preset(variables.s3_preset)
    region = variables.s3_region or chosen.region
    known_by = "services that know no regions take us-east-1" if variables.s3_endpoint else "write for example us-east-1"
    given.need("s3_region", region, known_by)
    address = variables.s3_endpoint or (endpoint_for(chosen, region) if region else None)
    if region:
        given.need("s3_endpoint", address, chosen.hint)
    bucket = given.need("s3_bucket", variables.s3_bucket, "write the name of a bucket that exists")
    prefix = _prefix(given)
    _check_s3_keys(given, has_role_arn=has_role_arn)
    if variables.s3_kms_key_id and variables.s3_sse_customer_key:
        what = f"and {given.own('s3_sse_customer_key')} are two ways to encrypt in the bucket"
        given.refuse("s3_kms_key_id", what, "set one of them; pgBackRest's own encryption needs neither")
    connection, host = _connection(given, "s3_endpoint", address)
    if given.problems or not (region and bucket and prefix and host):
        return None
    shared = variables.s3_key_type == "shared"
    return S3(
        key=given.key,
        prefix=prefix,
        bucket=bucket,
        endpoint=host,
        region=region,
        uri_style=variables.s3_uri_style or chosen.uri_style,
        key_type=variables.s3_key_type,
        policy=policy,
        connection=connection,
        access_key=variables.s3_key if shared else None,
        secret_key=variables.s3_key_secret if shared else None,
        token=variables.s3_token if shared else None,
        role=variables.s3_role,
        kms_key_id=variables.s3_kms_key_id,
        customer_key=variables.s3_sse_customer_key,
    )


def azure(given: Given, policy: Policy, now: datetime | None) -> Azure | None:
    """Return an Azure repository; without `now` a token of any age is taken."""
    variables = given.variables
    account = given.need("azure_account", variables.azure_account, "write the name of the storage account")
    container = given.need("azure_container", variables.azure_container, "write the name of a container that exists")
    prefix = _prefix(given)
    key_type = variables.azure_key_type or "shared"
    reader = storage_values.shared_access_signature if key_type == "sas" else storage_values.shared_key
    text = given.need("azure_key", revealed(variables.azure_key), f"set it, or {_SAS_WAY}")
    key = given.check("azure_key", reader, text) if text else None
    if key and key_type == "sas" and now:
        _check_expiry(given, key, now)
    address = variables.azure_endpoint or AZURE_ENDPOINT
    if account and address.startswith(f"{account}."):
        hint = f"write {address.removeprefix(f'{account}.')}"
        given.refuse("azure_endpoint", f"{values.quoted(address)} begins with the account's name", hint)
    connection, host = _connection(given, "azure_endpoint", address)
    if given.problems or not (account and container and prefix and key and host):
        return None
    # Where the account is part of the name, there is a certificate for it: in Microsoft's clouds, not on an emulator.
    uri_style = "host" if ".blob." in f".{host}" or ".storage.azure." in host else "path"
    return Azure(
        key=given.key,
        prefix=prefix,
        account=account,
        container=container,
        endpoint=host,
        uri_style=variables.azure_uri_style or uri_style,
        key_type=key_type,
        secret=SecretStr(key),
        policy=policy,
        connection=connection,
    )


def gcs(given: Given, policy: Policy, mounts: Mounts) -> Gcs | None:
    """Return a GCS repository."""
    variables = given.variables
    bucket = given.need("gcs_bucket", variables.gcs_bucket, "write the name of a bucket that exists")
    prefix = _prefix(given)
    secret = _gcs_secret(given, mounts)
    for name in ("storage_host", "storage_port"):
        if getattr(variables, name):
            hint = f"write it into {given.own('gcs_endpoint')}, as host:port"
            given.refuse(name, "has no effect on Google Cloud Storage", hint)
    connection = _tls(given)
    if given.problems or not (bucket and prefix):
        return None
    return Gcs(
        key=given.key,
        prefix=prefix,
        bucket=bucket,
        endpoint=variables.gcs_endpoint or GCS_ENDPOINT,
        key_type=variables.gcs_key_type,
        secret=SecretStr(secret) if secret else None,
        policy=policy,
        connection=connection,
    )


def _check_expiry(given: Given, token: str, now: datetime) -> None:
    try:
        expiry = storage_values.sas_expiry(token)
    except Rejected as rejected:
        given.refuse("azure_key", rejected.what, rejected.hint)
        return
    when = f"{expiry.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if expiry else ""
    if expiry and expiry <= now:
        given.refuse("azure_key", f"expired at {when}: neither backups nor restores are possible with it", _LATER)
    elif expiry and expiry <= now + SOON:
        given.warn("azure_key", f"expires at {when}: neither backups nor restores are possible after that", _LATER)


def _check_s3_keys(given: Given, *, has_role_arn: bool) -> None:
    variables = given.variables
    kind, type_name = variables.s3_key_type, given.own("s3_key_type")
    keys = {name: getattr(variables, name) for name in ("s3_key", "s3_key_secret", "s3_token")}
    if kind == "shared" and not (keys["s3_key"] or keys["s3_key_secret"]):
        both = f"{given.name('s3_key')} and {given.name('s3_key_secret')}"
        given.need("s3_key", keys["s3_key"], f"set {both}, or {type_name}=auto on a machine that has a role")
    elif kind == "shared":
        for name, other in (("s3_key", "s3_key_secret"), ("s3_key_secret", "s3_key")):
            if not keys[name]:
                given.refuse(name, f"is not set, but {given.name(other)} is", "set both, they belong together")
    for name, value in keys.items():
        if kind != "shared" and value and given.is_own(name):
            given.refuse(name, f"has no effect with {type_name}={kind}", f"remove it, or set {type_name}=shared")
    if variables.s3_role and kind != "auto":
        given.refuse("s3_role", f"has no effect with {type_name}={kind}", f"remove it, or set {type_name}=auto")
    if kind == "web-id" and not has_role_arn:
        hint = "set AWS_ROLE_ARN, and AWS_WEB_IDENTITY_DIRECTORY to the directory with the token"
        given.refuse("s3_key_type", "is web-id, but AWS_ROLE_ARN is not set", hint)


def _gcs_secret(given: Given, mounts: Mounts) -> str | None:
    variables = given.variables
    kind, text = variables.gcs_key_type, revealed(variables.gcs_key)
    if kind == "auto":
        if text and given.is_own("gcs_key"):
            type_name = given.own("gcs_key_type")
            given.refuse("gcs_key", f"has no effect with {type_name}=auto", f"remove it, or set {type_name}=service")
        return None
    if text is None:
        if mounts.complete or "GCS_KEY" not in environment.given():
            hint = f"set GCS_KEY to the path of the key file on this host, or {given.name('gcs_key')} to its content"
            given.need("gcs_key", text, hint)
        return None
    if kind == "token":
        return given.check("gcs_key", values.secret, text)
    return given.check("gcs_key", _service_key, text)


def _service_key(text: str) -> str:
    """Read a service account's key: the JSON itself, or the name of a file of the operator's with it."""
    if gcs_key.looks_like_json(text) or "\n" in text:
        return gcs_key.service_account(text)
    if not text.startswith("/run/secrets/"):
        hint = "give the JSON itself, or put the file into ./secrets and write /run/secrets/…"
        raise Rejected("is neither the JSON of a key nor a file below /run/secrets", hint)
    return gcs_key.service_account(environment.content(text, "the key file"))


def _prefix(given: Given) -> str | None:
    return given.check("path", storage_values.prefix, given.variables.path or DEFAULT_PREFIX)


def _connection(given: Given, name: str, address: str | None) -> tuple[Connection, str]:
    """Return how the store is reached, and its host without a port; `name` is the field that holds the address."""
    host, _, port = (address or "").partition(":")
    named = given.variables.storage_port
    if port and named and port != named:
        given.refuse("storage_port", f"is {named}, but {given.name(name)} says port {port}", "set one of them")
    tls = _tls(given)
    variables = given.variables
    where = Connection(tls.verify_tls, tls.authorities, variables.storage_host, named or port or None, tls.chunk_size)
    return where, host


def _tls(given: Given) -> Connection:
    variables = given.variables
    if not variables.storage_verify_tls:
        what = "is off: whoever can redirect the traffic can read, replace and delete the backups"
        given.warn("storage_verify_tls", what, _VERIFY_HINT.format(name=given.own("storage_ca_file")))
    return Connection(variables.storage_verify_tls, variables.storage_ca, chunk_size=variables.storage_upload_chunk_size)
