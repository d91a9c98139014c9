"""Where a store listens is read from the file that pgbackrest reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup.storage import published
from backup.storage.published import Endpoint
from contract.errors import ProductError

GOLDEN = Path(__file__).parents[3] / "consistency" / "golden"


@pytest.mark.parametrize(
    ("case", "key", "endpoint"),
    [
        ("four", 1, Endpoint("s3.us-east-1.amazonaws.com", 443)),
        ("four", 3, Endpoint("10.0.0.7", 9000, verified=False)),
        ("four", 4, Endpoint("gcs.example.com", 4443)),
        ("azure", 1, Endpoint("yourstorageaccount.blob.core.windows.net", 443)),
        ("azure-sas", 1, Endpoint("azurite.example.com", 10000)),
        ("gcs", 1, Endpoint("storage.googleapis.com", 443)),
    ],
)
def test_where_a_store_listens(case: str, key: int, endpoint: Endpoint) -> None:
    assert published.read(GOLDEN / case)[key].endpoint == endpoint


def test_a_bucket_may_be_part_of_the_name(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    lines = ("repo2-type=s3", "repo2-s3-bucket=b", "repo2-s3-endpoint=s3.example.com", "repo2-s3-uri-style=host")
    (tmp_path / "conf.d/repo.conf").write_text("[global]\n# repo2-type=posix\n" + "\n".join(lines))
    assert published.read(tmp_path)[2].endpoint == Endpoint("b.s3.example.com", 443)


def test_a_value_is_what_stands_behind_the_first_equals_sign(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/repo.conf").write_text("[global]\n# s3://one\nrepo2-s3-key-secret=a=b=c#d\n\nrepo3-type=s3\n")
    options = published.read(tmp_path)
    assert (options[2]["s3-key-secret"], options[2].get("s3-token"), options[3].type) == ("a=b=c#d", "", "s3")


def test_secrets_have_no_representation() -> None:
    assert "OBVIOUSLY-FAKE" not in repr(published.read(GOLDEN / "four"))


def test_without_the_file_the_hint_is_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(ProductError, match=r"repo\.conf: No such file"):
        published.read(tmp_path)
