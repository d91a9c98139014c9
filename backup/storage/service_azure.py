"""What Azure Blob Storage tells about a container. Requests are signed, or carry the shared access signature.

Versions and lifecycle rules belong to the account's management interface, which a storage key does not open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import parse_qs

from backup.storage import advice, web
from backup.storage.published import Options
from backup.storage.signing import VERSION, sign
from backup.storage.step import Step

_OK: Final = 200
_SOFT_DELETE: Final = re.compile(r"<DeleteRetentionPolicy><Enabled>true</Enabled>.*?<Days>(\d+)</Days>", re.DOTALL)


def ask(options: Options, now: datetime) -> list[Step]:
    """Return identity, lock and soft deletion as far as the service tells."""
    container = _get(options, options.bucket, {"restype": "container"}, now)
    service = _get(options, "", {"restype": "service", "comp": "properties"}, now)
    steps = [Step(advice.IDENTITY, "ok", _identity(options))]
    if container.status == _OK:
        holds = (("x-ms-has-immutability-policy", "an immutability policy"), ("x-ms-has-legal-hold", "a legal hold"))
        steps.append(advice.lock(" and ".join(what for name, what in holds if container.headers.get(name) == "true")))
    else:
        steps.append(advice.not_told(advice.LOCK, container.status))
    steps.append(_soft_delete(service))
    told = "not told over this interface: see the account's data management in the portal"
    return [*steps, Step(advice.LIFECYCLE, "skipped", told)]


def _soft_delete(answer: web.Answer) -> Step:
    if answer.status != _OK:
        return advice.not_told("soft delete", answer.status)
    found = _SOFT_DELETE.search(answer.text)
    return Step("soft delete", "ok", f"on: what was deleted is paid for {found[1]} more days" if found else "off")


def _identity(options: Options) -> str:
    if options.get("azure-key-type") != "sas":
        return f"account {options['azure-account']}, with its key"
    token = parse_qs(options.get("azure-key").lstrip("?"))
    rights, until = token.get("sp", ["?"])[0], token.get("se", ["by its policy"])[0]
    return f"account {options['azure-account']}, a shared access signature for {rights}, until {until}"


def _get(options: Options, container: str, query: Mapping[str, str], now: datetime) -> web.Answer:
    endpoint, account = options.endpoint, options["azure-account"]
    path = f"/{account}/{container}" if options.get("azure-uri-style") == "path" else f"/{container}"
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    url = f"https://{endpoint.host}:{endpoint.port}{path}?{asked}"
    if options.get("azure-key-type") == "sas":
        return web.get(f"{url}&{options.get('azure-key').lstrip('?')}", {"x-ms-version": VERSION}, endpoint)
    date = format_datetime(now, usegmt=True)
    headers = {"x-ms-date": date, "x-ms-version": VERSION}
    signature = sign(f"/{account}{path}", query, date, options["azure-key"])
    return web.get(url, {**headers, "authorization": f"SharedKey {account}:{signature}"}, endpoint)
