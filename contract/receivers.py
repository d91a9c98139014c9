"""The schema of `receivers.json`: who is told what.

It holds secrets (addresses that are passwords, keys, tokens), which no representation of these values shows.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.severity import Severity

ReceiverKind = Literal["webhook", "service"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Receiver(_Frozen):
    """One address. `id` is stable while the address is; `shown` is what may be printed of it.

    A `webhook` gets our JSON, signed with `signing_secret` and with `bearer_token` if there are such; a `service` is an
    address in the notification library's notation. `level` is the least severity it is told of.
    """

    id: str
    kind: ReceiverKind
    url: str = Field(repr=False)
    shown: str
    level: Severity = "info"
    signing_secret: str | None = Field(default=None, repr=False)
    bearer_token: str | None = Field(default=None, repr=False)


class Receivers(_Frozen):
    """Everybody who is told. `heartbeat_url` is pinged at the start, success and failure of every backup run."""

    schema_version: Literal[1] = 1
    receivers: tuple[Receiver, ...] = ()
    heartbeat_url: str | None = Field(default=None, repr=False)
