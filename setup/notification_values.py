"""What can be told to whom: the readers of the variables about notifications and alarms. Pure, like `setup.values`.

Addresses are secrets here: many services put the key into them. No refusal shows one.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from setup import values
from setup.notification_schemes import SCHEMES
from setup.values import Rejected, quoted

_BETWEEN_ADDRESSES: Final = re.compile(r"\s+|,+\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)|,+\s*$")
"""A comma ends an address only where the next one begins: some services take lists in theirs."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?=[^\s/?#])")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?")
_HEADER: Final = re.compile(r"[!-~]+")
_MOST_HOURS: Final = 8760
_HOURS_HINT: Final = "write whole hours, the most first, for example 24,6,1"
_PRIVATE_ENDINGS: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test")


def web_address(text: str) -> str:
    """Read an http or https address; the refusal never shows it."""
    parts = _split(values.secret(text))
    if parts.scheme not in ("http", "https"):
        hint = "write for example https://hooks.example.com/backups; services like slack:// go into BACKUP_NOTIFY_URLS"
        raise Rejected("does not begin with https:// or http://", hint)
    if not _is_host(parts):
        raise Rejected("has no valid host in it", "write for example https://hooks.example.com/backups")
    if not _HEADER.fullmatch(text):
        raise Rejected("contains a blank or another character that no address has", "write it as %20 or the like")
    return text


def service_addresses(text: str) -> str:
    """Read addresses in the notation of the notification library; return them one after the other with single blanks."""
    found = separated(text)
    for number, address in enumerate(found, start=1):
        which = f"address {number} of {len(found)}" if len(found) > 1 else "the address"
        _check_service(address, which)
    if not found:
        raise Rejected("holds no address", "write for example slack://… or mailtos://…")
    return " ".join(dict.fromkeys(found))


def separated(text: str) -> list[str]:
    """Return the addresses in a text that has blanks, line breaks or commas between them."""
    return [address for address in _BETWEEN_ADDRESSES.split(text) if address]


def scheme(address: str) -> str:
    """Return the scheme of an accepted address, in lower case."""
    return address.partition("://")[0].lower()


def bearer_token(text: str) -> str:
    """Read what goes into the header Authorization."""
    if _HEADER.fullmatch(values.secret(text)):
        return text
    raise Rejected("contains a character that no HTTP header may have", "use a token of printable ASCII without blanks")


def hours(text: str) -> str:
    """Read whole hours, each less than the one before; return them with commas and nothing else between them."""
    found = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,4}", part) and 1 <= int(part) <= _MOST_HOURS for part in found):
        raise Rejected(f"{quoted(text)} is not a list of whole hours from 1 to {_MOST_HOURS}", _HOURS_HINT)
    numbers = [int(part) for part in found]
    descending = sorted(set(numbers), reverse=True)
    if numbers != descending:
        raise Rejected(f"{quoted(text)} does not descend", f"write {','.join(map(str, descending))}")
    return ",".join(map(str, numbers))


def shown(address: str) -> str:
    """Return what may be shown of a web address: its scheme, its host, and its port if it has one of its own."""
    parts = urlsplit(address)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"


def is_exposed(address: str) -> bool:
    """Tell whether a web address is plain http to a host that may be anywhere: neither private, loopback nor local."""
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "http":
        return False
    try:
        where = ipaddress.ip_address(host)
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE_ENDINGS)
    return not (where.is_private or where.is_loopback or where.is_link_local)


def _check_service(address: str, which: str) -> None:
    match = _SCHEME.match(address)
    if match is None:
        raise Rejected(f"{which} has no scheme with something behind it", "write for example slack://… or mailtos://…")
    if not address.isprintable():
        raise Rejected(f"{which} contains a control character", "write it on one line")
    found = match[1].lower()
    if found in ("http", "https"):
        hint = "a web address of your own goes into BACKUP_WEBHOOK_URL; services have schemes, for example slack://…"
        raise Rejected(f"{which} begins with {found}://, which names no service", hint)
    if found not in SCHEMES:
        meant = values.nearest(found, SCHEMES)
        hint = f"did you mean {meant}://?" if meant else "see https://github.com/caronc/apprise for the services there are"
        raise Rejected(f"{which} begins with {quoted(found)}, which is no service that is known", hint)


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise Rejected("is not an address", "write for example https://hooks.example.com/backups") from None
    return parts


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if ":" not in host:
        return _HOST.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return False
    return True
