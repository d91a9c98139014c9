"""What is the same for every customer of an S3-compatible service, so that nobody has to look it up.

A preset fills in what is not set and refuses nothing that is. `{region}` in an endpoint is replaced. Sources: the
services' own pages on their S3 interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

UriStyle = Literal["host", "path"]


@dataclass(frozen=True)
class Preset:
    """A service: its endpoint, if one follows from the region; its region, if there is only one; what to tell."""

    title: str
    endpoint: str | None = None
    region: str | None = None
    uri_style: UriStyle = "path"
    hint: str = ""
    """How the endpoint of this service looks, where it cannot be guessed."""


PRESETS: Final[Mapping[str, Preset]] = {
    "aws": Preset("Amazon S3", "s3.{region}.amazonaws.com"),
    # Self-hosted: the address is the operator's own, and the region a name that only has to be the same on both sides.
    "minio": Preset(
        "MinIO", region="us-east-1", hint="write the address of your server, for example minio.example.com:9000"
    ),
    "garage": Preset("Garage", region="garage", hint="write the address of the TLS proxy in front of Garage"),
    "seaweedfs": Preset(
        "SeaweedFS", region="us-east-1", hint="write the address of weed's S3 gateway, for example s3.example.com:8334"
    ),
    "wasabi": Preset("Wasabi", "s3.{region}.wasabisys.com"),
    "spaces": Preset("DigitalOcean Spaces", "{region}.digitaloceanspaces.com"),
    # Cloudflare knows one region for all; the account is in the address.
    "r2": Preset("Cloudflare R2", region="auto", hint="write <account id>.r2.cloudflarestorage.com"),
    "b2": Preset("Backblaze B2", "s3.{region}.backblazeb2.com"),
}

_AWS = PRESETS["aws"]


def preset(name: str | None) -> Preset:
    """Return the preset of this name; Amazon's without one."""
    return PRESETS[name] if name else _AWS


def endpoint_for(chosen: Preset, region: str) -> str | None:
    """Return the service's address in a region, or None when it cannot be known."""
    if chosen.endpoint is None:
        return None
    address = chosen.endpoint.format(region=region)
    # Amazon's regions in China are a cloud of their own.
    return f"{address}.cn" if chosen is _AWS and region.startswith("cn-") else address
