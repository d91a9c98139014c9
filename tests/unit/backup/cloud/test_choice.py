"""Which repository a program of a cloud service is about."""

from __future__ import annotations

import pytest

from backup.cloud.choice import chosen
from backup.storage.published import Options
from contract.errors import ProductError
from contract.exits import Exit

EVERY = {
    3: Options(3, {"type": "s3", "s3-bucket": "three"}),
    2: Options(2, {"type": "s3", "s3-bucket": "one"}),
    1: Options(1, {"path": "/var/lib/pgbackrest"}),
}


@pytest.mark.parametrize(("wanted", "bucket"), [("", "one"), ("2", "one"), ("3", "three")])
def test_the_first_of_the_kind_or_the_one_that_is_wanted(wanted: str, bucket: str) -> None:
    assert chosen(EVERY, "s3", wanted).bucket == bucket


@pytest.mark.parametrize("wanted", ["1", "4", "two"])
def test_one_of_another_kind_is_refused_and_the_others_are_named(wanted: str) -> None:
    with pytest.raises(ProductError) as caught:
        chosen(EVERY, "s3", wanted)
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.hint == "these are: 2, 3"


@pytest.mark.parametrize("every", [{}, EVERY])
def test_without_a_repository_of_the_kind_it_says_how_to_get_one(every: dict[int, Options]) -> None:
    with pytest.raises(ProductError) as caught:
        chosen(every, "azure", "")
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert "PGBACKREST_REPO1_TYPE=azure" in caught.value.hint
