"""What object stores take for names, addresses and keys: the readers of the storage variables. Pure, like `setup.values`.

Refused here is what pgBackRest or the service would refuse later, in the middle of the first backup.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from datetime import UTC, datetime
from urllib.parse import unquote

from setup.values import Rejected, quoted, secret

_HOST = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_ENDPOINT = re.compile(rf"({_HOST})(?::([0-9]{{1,5}}))?", re.IGNORECASE)
_LAST_PORT = 65_535
_BUCKET_HINT = "use 3 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit"
_CUSTOMER_KEY_BYTES = 32
_CHUNK = re.compile(r"[0-9]{1,6}(?:KiB|MiB|GiB)")


def s3_bucket(text: str) -> str:
    """Read the name of an S3 bucket that pgBackRest can use."""
    if "." in text:
        what = f"{quoted(text)} has a dot, which pgBackRest 2.55 refuses: no certificate matches such a name"
        raise Rejected(what, "use a bucket without dots in its name")
    if text != text.lower():
        raise Rejected(f"{quoted(text)} has capital letters, which no bucket has", f"did you mean {text.lower()}?")
    return _bucket(text, r"[a-z0-9-]")


def gcs_bucket(text: str) -> str:
    """Read the name of a Google Cloud Storage bucket."""
    if text != text.lower():
        raise Rejected(f"{quoted(text)} has capital letters, which no bucket has", f"did you mean {text.lower()}?")
    return _bucket(text, r"[a-z0-9._-]")


def azure_container(text: str) -> str:
    """Read the name of an Azure blob container."""
    if text != text.lower():
        raise Rejected(f"{quoted(text)} has capital letters, which no container has", f"did you mean {text.lower()}?")
    if "--" in text:
        raise Rejected(f"{quoted(text)} has two hyphens in a row", "use single hyphens")
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", text):
        return text
    raise Rejected(f"{quoted(text)} is not the name of a container", _BUCKET_HINT)


def azure_account(text: str) -> str:
    """Read the name of a storage account."""
    if re.fullmatch(r"[a-z0-9]{3,24}", text):
        return text
    raise Rejected(f"{quoted(text)} is not the name of a storage account", "use its 3 to 24 lower-case letters and digits")


def azure_key(text: str) -> str:
    """Read a shared key or a shared access signature; which of the two is checked where the key type is known."""
    return secret(text)


def shared_key(text: str) -> str:
    """Read an account's key, which is base64."""
    if "sig=" in text:
        raise Rejected("is a shared access signature, not an account's key", "set the key type to sas")
    if not _decoded(text):
        raise Rejected("is not base64, so it is not the whole key", "copy the key again, with the = signs at its end")
    return text


def shared_access_signature(text: str) -> str:
    """Read a SAS token; the question mark that portals put in front of it is dropped."""
    token = text.removeprefix("?")
    if "sig=" not in token or "sv=" not in token:
        raise Rejected("is not a shared access signature: it has no sv= or no sig= in it", "copy the whole SAS token")
    return token


def sas_expiry(token: str) -> datetime | None:
    """Return when a SAS token expires; None when that is not in it but in a policy of the container.

    Raises Rejected for a time that Azure would not understand, either.
    """
    found = next((part[3:] for part in token.split("&") if part.startswith("se=")), None)
    if found is None:
        return None
    try:
        expiry = datetime.fromisoformat(unquote(found))
    except ValueError:
        raise Rejected("has an expiry (se=) that is no time", "copy the whole SAS token") from None
    return expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)


def customer_key(text: str) -> str:
    """Read an SSE-C key: 32 bytes in base64."""
    if len(_decoded(text)) != _CUSTOMER_KEY_BYTES:
        raise Rejected("is not 32 bytes in base64", "make one with: openssl rand -base64 32")
    return text


def region(text: str) -> str:
    """Read the name of a region."""
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", text):
        return text
    raise Rejected(f"{quoted(text)} is not the name of a region", "write for example us-east-1")


def endpoint(text: str) -> str:
    """Read the address of a service, with or without https:// and a port; return it as host or host:port."""
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme.lower() == "http":
        what = f"{_shown(text)} is plain http, but pgBackRest 2.55 talks to object stores over TLS only"
        raise Rejected(what, "put a TLS proxy in front of the store, for example Caddy, and name that one with https://")
    if separator and scheme.lower() != "https":
        raise Rejected(f"{_shown(text)} does not begin with https://", "write the host name, for example s3.example.com")
    if "@" in rest:
        raise Rejected("has a user or a password in it", "write the host name only; the keys have variables of their own")
    address, _, path = rest.partition("/")
    if path:
        hint = f"write {address}; the bucket and the path in it have variables of their own"
        raise Rejected(f"{quoted(text)} has a path", hint)
    match = _ENDPOINT.fullmatch(address)
    if match is None or (match[2] and not 1 <= int(match[2]) <= _LAST_PORT):
        raise Rejected(
            f"{quoted(text)} is not an address", "write a host name, or host:port, for example s3.example.com:9000"
        )
    return address.lower()


def host(text: str) -> str:
    """Read a host name or an IPv4 address, without a port."""
    if re.fullmatch(_HOST, text, re.IGNORECASE):
        return text.lower()
    raise Rejected(f"{quoted(text)} is not a host name", "write a host name or an address, without scheme, port and path")


def role(text: str) -> str:
    """Read the name of an IAM role, as the metadata service of a machine gives it."""
    if re.fullmatch(r"[A-Za-z0-9+=,.@_-]{1,64}", text):
        return text
    raise Rejected(f"{quoted(text)} is not the name of a role", "write its name, not its ARN")


def role_arn(text: str) -> str:
    """Read the ARN of an IAM role."""
    if re.fullmatch(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}", text):
        return text
    raise Rejected(f"{quoted(text)} is not the ARN of a role", "write for example arn:aws:iam::123456789012:role/backup")


def chunk_size(text: str) -> str:
    """Read an amount in pgBackRest's notation."""
    if _CHUNK.fullmatch(text) and not text.startswith("0"):
        return text
    raise Rejected(f"{quoted(text)} is not an amount with a unit", "write for example 16MiB; the units are KiB, MiB and GiB")


def certificates(text: str) -> str:
    """Read one or more certificates in PEM; they need not be secret, but a private key beside them would be published."""
    if "PRIVATE KEY" in text:
        raise Rejected("holds a private key", "give the certificates only: they are published to the other containers")
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise Rejected("is not a certificate in PEM format", "it begins with -----BEGIN CERTIFICATE-----")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise Rejected("holds a certificate that cannot be read", "copy the whole file again, from BEGIN to END") from None
    return text.strip() + "\n"


def prefix(text: str) -> str:
    """Read the path in a bucket under which everything lies."""
    if not text.startswith("/"):
        raise Rejected(f"{quoted(text)} does not begin with /", f"write /{text.removeprefix('./')}")
    if not re.fullmatch(r"(?:/[A-Za-z0-9._=+-]+)+", text) or ".." in text.split("/"):
        hint = "write for example /pgbackrest: letters, digits and . _ = + - between single slashes, and none at the end"
        raise Rejected(f"{quoted(text)} is not a path in a bucket", hint)
    return text


def _bucket(text: str, character: str) -> str:
    if re.fullmatch(rf"[a-z0-9]{character}{{1,61}}[a-z0-9]", text):
        return text
    raise Rejected(f"{quoted(text)} is not the name of a bucket", _BUCKET_HINT)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _shown(text: str) -> str:
    return "the address" if "@" in text else quoted(text)
