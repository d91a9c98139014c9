"""S3: the whole cycle with SeaweedFS, a real object store, as the first repository and a directory as the second."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.cycle import FullCycle
from tests.e2e.stack import Stack


class S3Bucket:
    """The bucket by its own protocol."""

    def __init__(self, store: Any) -> None:
        self._store, self._client = store, store.client()

    def names(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._store.bucket)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))

    def contents(self) -> dict[str, bytes]:
        bucket = self._store.bucket
        return {name: self._client.get_object(Bucket=bucket, Key=name)["Body"].read() for name in self.names()}

    def holds(self, text: str) -> bool:
        return bool(self._store.sh(f"grep -rlaF {text} /data || true"))


@pytest.fixture(scope="module")
def shop(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def bucket(stacks: Stacks, shop: Stack) -> S3Bucket:
    store = stacks.store("s3", shop)
    shop.configure(SETUP_BACKUP="true", BACKUP_RETENTION_FULL="1", BACKUP_CPU_LIMIT="2", **store.variables())
    return S3Bucket(store)


class TestS3(FullCycle):
    """The cycle."""
