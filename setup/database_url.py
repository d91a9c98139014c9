"""Does DATABASE_URL point to our own database or to a hosted one? Pure.

The application sets it for both. Read with the standard library and not with libpq's parser: that one refuses the
parameters that applications' drivers add to the address (`?schema=public`, `?pgbouncer=true`). No refusal shows the
address, it holds a password.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

from setup.values import Rejected, listed, quoted

_OURS = frozenset({"", "postgres", "localhost", "127.0.0.1", "::1", "salespider-postgres"})
_POSTGRES_SCHEMES = frozenset({"postgres", "postgresql", "pgsql"})
_HINT = "write for example postgresql://user:password@db.example.com:5432/dbname"


def foreign_host(text: str) -> str | None:
    """Return the host of a database that is not ours, or None when the address is ours.

    Raises Rejected for what is no address of a PostgreSQL database, and for several hosts of which only some are ours.
    """
    hosts = _from_url(text) if "://" in text else _from_pairs(text)
    foreign = sorted({host for host in hosts if not _is_ours(host)})
    if not foreign:
        return None
    if len(foreign) < len(set(hosts)):
        what = f"names our own database and others ({', '.join(foreign)}) at once"
        raise Rejected(what, "name either this deployment's database or the hosted one")
    return listed(foreign)


def _is_ours(host: str) -> bool:
    return host in _OURS or host.startswith(("/", "@", "127."))


def _from_url(text: str) -> list[str]:
    try:
        parts = urlsplit(text)
        addresses = parts.netloc.rpartition("@")[2].split(",")
        named = parse_qs(parts.query).get("host", [])
    except ValueError:
        raise Rejected("is not an address that can be read", _HINT) from None
    if not _POSTGRES_SCHEMES & set(parts.scheme.split("+")):
        raise Rejected(f"begins with {quoted(parts.scheme)}, which is not PostgreSQL", _HINT)
    if any(addresses) or not named:
        return [_host(address) for address in addresses]
    return [unquote(host) for host in named[-1].split(",")]


def _host(address: str) -> str:
    """Return the host of `host:port`, `[address]:port` or a percent-encoded socket directory."""
    match = re.fullmatch(r"\[([0-9A-Fa-f:.%]+)\](?::[0-9]*)?|([^:\[\]]*)(?::[0-9]*)?", address)
    if match is None:
        raise Rejected("is not an address that can be read", _HINT)
    return unquote(match[1] or match[2] or "").lower()


def _from_pairs(text: str) -> list[str]:
    pairs = dict(re.findall(r"([a-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", text))
    if not pairs:
        raise Rejected("is not an address of a database", _HINT)
    named = pairs.get("host") or pairs.get("hostaddr") or ""
    return [host.lower() for host in named.strip("'").split(",")]
